// Control models that the fixtures do not have, with the names and the structure of the published files, made
// for the micro model: of its ControlNet's weights, and of random ones.
#pragma once

#include <cstdint>
#include <string>

#include "micro_variants.h"

namespace sdxl {

inline PlainTensors micro_controlnet() {
    return micro_component("controlnet");
}
// The same net with other weights: each a little different.
PlainTensors micro_controlnet(std::uint32_t seed);

// A ControlNet's tensors under the names of the original layout: "input_blocks.1.0.in_layers.0.weight", ...
PlainTensors in_original_layout(const PlainTensors& controlnet);

// A control-LoRA as Stability AI publishes them, and the ControlNet that it is over the micro model:
// differences of rank `rank` for the encoder's matrices and convolutions, the rest whole. It does not carry
// conv_in's bias and the second linear of the time embedding, which are the base's.
struct MicroControlLora {
    PlainTensors file;
    PlainTensors merged;
};
MicroControlLora micro_control_lora(std::int64_t rank);

// A ControlNet-Union, as xinsir publishes them: of 6 types, or of 8 (ProMax).
PlainTensors micro_union(std::int64_t types);

// FullAdapterXL under diffusers' names ("adapter.body.1.resnets.0.block1.weight"), or the original ones
// ("body.2.block1.weight").
PlainTensors micro_t2i_adapter(std::int64_t picture_channels = 3);
PlainTensors in_original_t2i_layout(const PlainTensors& adapter);

}  // namespace sdxl
