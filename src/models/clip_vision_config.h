// Configuration of a CLIP vision encoder, read from its tensors' names and shapes.
#pragma once

#include <cstdint>
#include <string_view>

#include "backend/backend.h"
#include "weights/weight_scope.h"

namespace sdxl {

struct ClipVisionConfig {
    std::int64_t hidden_size = 1280;
    std::int64_t intermediate_size = 5120;
    std::int64_t projection_dim = 1024;
    std::int64_t patch_size = 14;
    std::int64_t image_size = 224;  // of a side
    int layers = 32;
    int heads = 16;
    Activation activation = Activation::kGelu;
    float norm_eps = 1e-5F;

    std::int64_t patches() const { return image_size / patch_size; }   // of a side
    std::int64_t tokens() const { return patches() * patches() + 1; }  // the class token first
};

// 16 heads (ViT-L, ViT-H and ViT-bigG), or 12 at ViT-B's width; GELU, or quick GELU at OpenAI's widths (up to
// ViT-L's 1024). Fails with kInvalidModel if the tensors are no CLIP vision encoder.
ClipVisionConfig detect_clip_vision_config(const WeightMap& weights);

// Checks against config.json and takes over what tensors cannot tell: hidden_act and num_attention_heads.
ClipVisionConfig check_against_json(ClipVisionConfig config, std::string_view json);

}  // namespace sdxl
