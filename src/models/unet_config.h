// Configuration of SDXL's UNet2DConditionModel, read from its tensors' names and shapes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

struct UNetConfig {
    std::int64_t in_channels = 4;  // 9 for an inpainting model
    std::int64_t out_channels = 4;
    std::vector<std::int64_t> block_out_channels{320, 640, 1280};
    int layers_per_block = 2;
    // Transformer blocks in each down and up block, 0 for one without attention; down[i] stands beside
    // block_out_channels[i], up[i] beside the reverse.
    std::vector<int> down_depths{0, 2, 10};
    int mid_depth = 10;
    std::vector<int> up_depths{10, 2, 0};
    std::int64_t cross_attention_dim = 2048;
    std::int64_t time_embed_dim = 1280;
    std::int64_t guidance_dim =
        0;  // of the embedded guidance scale, for a model that takes one (LCM); else 0
    std::int64_t time_id_dim = 256;  // sinusoidal channels for each time id
    int time_id_count = 6;           // original size, crop, target size; 5 for the refiner
    std::int64_t pooled_dim = 1280;
    std::int64_t head_size = 64;
    bool use_linear_projection = true;
    int norm_groups = 32;
    float norm_eps = 1e-5F;
    float transformer_norm_eps = 1e-6F;
    // [height, width] of the latents that it was made for; only config.json says so.
    std::array<int, 2> sample_size{128, 128};
};

// Fails with kInvalidModel if the tensors are no UNet of SDXL.
UNetConfig detect_unet_config(const WeightMap& weights);

// The same for the half of a UNet that a ControlNet is a copy of: up_depths is empty, and the middle block
// may be without attention (mid_depth 0).
UNetConfig detect_encoder_config(const WeightMap& weights);

// With what tensors do not show (norm_num_groups). Fails with kInvalidModel, saying which option differs or
// is not supported. `component` is for messages.
UNetConfig check_against_json(UNetConfig config, std::string_view json,
                              const std::string& component = "unet");

}  // namespace sdxl
