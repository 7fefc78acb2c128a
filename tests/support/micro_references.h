// An image encoder and IP-Adapters for the micro model, of random weights, as h94/IP-Adapter has them on
// disk.
#pragma once

#include <filesystem>
#include <string>

#include "micro_variants.h"

namespace sdxl {

// CLIPVisionModelWithProjection: pictures of 12 x 12 in 16 patches, 32 wide, 4 heads, 3 layers, 24
// projected.
PlainTensors micro_image_encoder();
std::string micro_image_encoder_config();

enum class MicroAdapter { kBase, kPlus };
// For the micro UNet's 17 cross-attentions to 192 channels; 4 tokens of a vector, or 5 of hidden states with
// two layers of two heads.
PlainTensors micro_ip_adapter(MicroAdapter kind);

// Writes them below `folder`: sdxl_models/ip-adapter_micro.safetensors, ip-adapter-plus_micro.safetensors and
// image_encoder/.
void write_micro_references(const std::filesystem::path& folder);

}  // namespace sdxl
