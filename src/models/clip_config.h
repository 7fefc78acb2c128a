// Configuration of a CLIP text encoder, read from its tensors' names and shapes.
#pragma once

#include <cstdint>
#include <string_view>

#include "backend/backend.h"
#include "weights/weight_scope.h"

namespace sdxl {

struct ClipTextConfig {
    std::int64_t vocab_size = 49408;
    std::int64_t hidden_size = 768;
    std::int64_t intermediate_size = 3072;
    std::int64_t max_positions = 77;
    std::int64_t projection_dim = 0;  // 0: without text_projection, so without a pooled output
    int layers = 12;
    int heads = 12;
    Activation activation = Activation::kQuickGelu;
    float norm_eps = 1e-5F;
    std::int32_t eos_token_id = 49407;
};

// Head size 64; the activation is GELU with a text projection (OpenCLIP bigG) and quick GELU without
// (CLIP-L); the end token is the last one of the vocabulary. Fails with kInvalidModel if the tensors are no
// CLIP text encoder.
ClipTextConfig detect_clip_text_config(const WeightMap& weights);

// Checks against config.json and takes over what tensors cannot tell: hidden_act and eos_token_id.
ClipTextConfig check_against_json(ClipTextConfig config, std::string_view json);

}  // namespace sdxl
