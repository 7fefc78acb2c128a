// What a model file is, told from the names and shapes of its tensors before any weight is read.
#pragma once

#include <string>
#include <string_view>

#include "weights/safetensors.h"
#include "weights/weight_scope.h"

namespace sdxl {

enum class ModelKind {
    kBase,     // text to image: two text encoders, 4 latent channels in
    kRefiner,  // one text encoder (OpenCLIP-G), an aesthetic score among the size embeddings
    kInpaint,  // 9 channels in: latent, mask, masked latent
    kEdit,     // 8 channels in: latent, source latent (InstructPix2Pix)
};

std::string_view model_kind_name(ModelKind kind);

// For tensors under the names of a single file: what they are if they are no SDXL checkpoint ("a LoRA"), ""
// if they may be one.
std::string foreign_model(const FileTensors& tensors);

// The kind of an SDXL UNet under diffusers names. Fails with kInvalidModel if tensors that tell it are
// missing or are not SDXL's. `has_clip_l`: whether the first text encoder stands beside it, which a refiner
// never has.
ModelKind detect_model_kind(const WeightMap& unet, bool has_clip_l);

}  // namespace sdxl
