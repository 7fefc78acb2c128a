// SdxlModel: one SDXL model in memory, ready to run on one backend: text encoders with their tokenizers, the
// UNet, the VAE, and what the model's files say about sampling. A refiner has no first text encoder.
//
// Immutable after loading, but for its adapters. It refers to its backend, which must outlive it. Used by one
// thread at a time.
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
#include "pipeline/model_variant.h"
#include "pipeline/vae_model.h"
#include "sampling/scheduler_config.h"
#include "text/tokenizer.h"

namespace sdxl {

struct SdxlModel {
    std::filesystem::path path;
    ModelKind kind = ModelKind::kBase;
    ModelVariant variant;
    DType compute = DType::kF32;
    std::uint64_t weight_bytes = 0;  // in the file
    bool force_zeros_for_empty_prompt = true;
    LoadedSchedulerConfig scheduler;
    std::vector<std::string> warnings;  // what the files hold that is not used, and what was assumed

    std::unique_ptr<Tokenizer> tokenizer, tokenizer_2;
    std::int32_t pad_id = 0, pad_id_2 = 0;
    std::unique_ptr<ClipTextModel> text_encoder, text_encoder_2;
    std::unique_ptr<UNet2DConditionModel> unet;
    std::shared_ptr<const VaeModel> vae;  // shared with generations that outlive the rest of the model
    // The files behind the weights of the text encoders and the UNet, and what adapters make of them. Its
    // apply() is the one thing about a model that changes.
    std::unique_ptr<AdaptedWeights> weights;
};

// Told about bytes taken of all bytes, while a model loads.
using LoadProgress = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

// Reads a single-file checkpoint or a diffusers folder and packs its weights for `backend`. Nothing is read
// before the files were checked. Fails with kNotFound, kInvalidModel, kUnsupported (an SDXL model of a kind
// that is not run), kCancelled or kDeadlineExceeded; what was loaded by then is freed.
// With `int8` the weights of the text encoders and the UNet are (WeightForm); the VAE's never.
std::shared_ptr<const SdxlModel> load_sdxl_model(const std::filesystem::path& path, Backend& backend,
                                                 DType compute, const CancelToken& cancel,
                                                 const LoadProgress& progress, bool int8 = false);

// What the weights of the model at `path` take in memory. Reads headers only; fails as open_checkpoint does.
std::uint64_t loaded_bytes(const std::filesystem::path& path, DType compute);

// A VAE alone: a file or folder of one, or that of a whole model. `warnings` gets what its files hold that is
// not used. Fails as above.
std::shared_ptr<const VaeModel> load_vae_model(const std::filesystem::path& path, Backend& backend,
                                               DType compute, const CancelToken& cancel,
                                               std::vector<std::string>& warnings);

}  // namespace sdxl
