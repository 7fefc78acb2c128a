// SdxlModel: one SDXL model in memory, ready to run on one backend: both text encoders with their tokenizers,
// the UNet, the VAE, and what the model's folder says about sampling.
//
// Immutable after loading. It refers to its backend, which must outlive it. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "models/autoencoder_kl.h"
#include "models/clip_text_model.h"
#include "models/unet_2d_condition.h"
#include "sampling/scheduler_config.h"
#include "text/tokenizer.h"

namespace sdxl {

struct SdxlModel {
    std::filesystem::path path;
    DType compute = DType::kF32;
    std::uint64_t weight_bytes = 0;  // in the file
    bool force_zeros_for_empty_prompt = true;
    LoadedSchedulerConfig scheduler;
    std::vector<std::string> warnings;  // what the files hold that is not used, and what was assumed

    std::unique_ptr<Tokenizer> tokenizer, tokenizer_2;
    std::int32_t pad_id = 0, pad_id_2 = 0;
    std::unique_ptr<ClipTextModel> text_encoder, text_encoder_2;
    std::unique_ptr<UNet2DConditionModel> unet;
    std::unique_ptr<AutoencoderKL> vae;
};

// Told about bytes taken of all bytes, while a model loads.
using LoadProgress = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

// Reads a single-file checkpoint or a diffusers folder and packs its weights for `backend`. Nothing is read
// before the files were checked. Fails with kNotFound, kInvalidModel, kUnsupported (an SDXL model of a kind
// that does not run yet), kCancelled or kDeadlineExceeded; what was loaded by then is freed.
std::shared_ptr<const SdxlModel> load_sdxl_model(const std::filesystem::path& path, Backend& backend,
                                                 DType compute, const CancelToken& cancel,
                                                 const LoadProgress& progress);

}  // namespace sdxl
