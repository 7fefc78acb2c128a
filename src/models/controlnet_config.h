// Configuration of a ControlNet for SDXL, read from its tensors' names and shapes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/unet_config.h"
#include "weights/weight_scope.h"

namespace sdxl {

struct ControlNetConfig {
    UNetConfig encoder;              // the half of a UNet that it is a copy of
    std::int64_t hint_channels = 3;  // of the control picture
    std::vector<std::int64_t> hint_block_channels{16, 32, 96, 256};  // of its embedding, each half as large
    // Of a ControlNet-Union: how many types of control it knows, and its condition transformer.
    int control_types = 0;
    std::int64_t transformer_channels = 0;
    int transformer_layers = 0;
    int transformer_heads = 8;  // of all published ones; not to be seen in the tensors

    bool is_union() const { return control_types > 0; }
};

// Fails with kInvalidModel if the tensors are no ControlNet for SDXL, or one whose pictures are not a
// multiple of 8 as large as its latents.
ControlNetConfig detect_controlnet_config(const WeightMap& weights);

// With what tensors do not show (norm_num_groups). Fails with kInvalidModel, saying which option differs or
// is not supported.
ControlNetConfig check_against_json(ControlNetConfig config, std::string_view json);

}  // namespace sdxl
