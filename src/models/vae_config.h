// Configuration of an AutoencoderKL, read from its tensors' names and shapes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

struct VaeConfig {
    std::int64_t image_channels = 3;
    std::int64_t latent_channels = 4;
    std::vector<std::int64_t> block_out_channels{128, 256, 512, 512};  // from the picture inwards
    int layers_per_block = 2;
    int norm_groups = 32;
    float norm_eps = 1e-6F;
    // Latents are multiplied by it after encoding and divided before decoding, by the pipeline.
    float scaling_factor = 0.13025F;
};

// Fails with kInvalidModel if the tensors are no autoencoder of SDXL.
VaeConfig detect_vae_config(const WeightMap& weights);

// With what tensors do not show (norm_num_groups). Fails with kInvalidModel, saying which option differs or
// is not supported.
VaeConfig check_against_json(VaeConfig config, std::string_view json);

}  // namespace sdxl
