// SdxlModel: one SDXL model, ready to run on one backend: text encoders with their tokenizers, the UNet, the
// VAE, and what the model's files say about sampling. A refiner has no first text encoder.
//
// Opening one reads headers, checks every tensor and binds the networks; a weight is made when it is used, or
// before that by make_weights(). Models of the same files share their networks. What changes about a model is
// which adapters it has and which of its weights are in memory. It refers to its backend, which must outlive
// it. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "models/clip_text_model.h"
#include "models/unet_2d_condition.h"
#include "pipeline/adapted_weights.h"
#include "pipeline/model_shelf.h"
#include "pipeline/model_variant.h"
#include "pipeline/rehearsal.h"
#include "pipeline/step_recorder.h"
#include "pipeline/vae_model.h"
#include "sampling/scheduler_config.h"
#include "text/tokenizer.h"
#include "weights/model_files.h"

namespace sdxl {

struct SdxlModel {
    ModelFiles files;
    std::filesystem::path path;  // of the base
    ModelKind kind = ModelKind::kBase;
    ModelVariant variant;
    DType compute = DType::kF32;
    bool int8 = false;               // weights of the text encoders and the UNet
    std::uint64_t weight_bytes = 0;  // in the file
    bool force_zeros_for_empty_prompt = true;
    LoadedSchedulerConfig scheduler;
    std::vector<std::string> warnings;  // what the files hold that is not used, and what was assumed

    std::unique_ptr<Tokenizer> tokenizer, tokenizer_2;
    std::int32_t pad_id = 0, pad_id_2 = 0;
    std::shared_ptr<const ClipTextModel> text_encoder, text_encoder_2;
    std::shared_ptr<const UNet2DConditionModel> unet;
    std::shared_ptr<const VaeModel> vae;
    // The weights of the text encoders and the UNet, and what adapters make of them.
    std::unique_ptr<AdaptedWeights> weights;
    // The same networks where they only count memory.
    std::shared_ptr<const Rehearsed<ClipTextModel>> rehearsed_text, rehearsed_text_2;
    std::shared_ptr<const Rehearsed<UNet2DConditionModel>> rehearsed_unet;
    std::shared_ptr<const RehearsedVae> rehearsed_vae;
    std::unique_ptr<StepRecorder> recorder;  // of the UNet's passes; null where the backend has none

    // Of all its networks: the text encoders, the UNet, the VAE.
    std::vector<WeightPlacement*> placements() const;

    std::string dtype() const { return int8 ? "int8" : std::string(dtype_name(compute)); }
};

// Opens a single-file checkpoint or a diffusers folder, and what stands in for its parts. Fails with
// kNotFound, kInvalidModel or kUnsupported (an SDXL model of a kind that is not run).
std::shared_ptr<const SdxlModel> open_sdxl_model(const ModelFiles& files, Backend& backend, WeightForm form,
                                                 ModelShelf& shelf);

// Told about bytes taken of all bytes, while weights are made.
using LoadProgress = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

// Makes the weights of these parts that are not in memory, reading their files ahead. Fails with
// kInvalidModel, kCancelled or kDeadlineExceeded, or std::bad_alloc; what was made by then stays.
struct PartsToMake {
    bool text_encoders = true, unet = true, vae = true;
};
void make_weights(const SdxlModel& model, PartsToMake parts, const CancelToken& cancel,
                  const LoadProgress& progress);

// Both at once, of a model that shares nothing.
std::shared_ptr<const SdxlModel> load_sdxl_model(const std::filesystem::path& path, Backend& backend,
                                                 WeightForm form, const CancelToken& cancel,
                                                 const LoadProgress& progress);

// A VAE alone: a file or folder of one, or that of a whole model. Its weights are made when they are used.
// `warnings` gets what its files hold that is not used. Fails as above.
std::shared_ptr<const VaeModel> open_vae_model(const std::filesystem::path& path, Backend& backend,
                                               DType compute, ModelShelf& shelf,
                                               std::vector<std::string>& warnings);

}  // namespace sdxl
