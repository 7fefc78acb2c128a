// Alphas that stand beside the weights: PEFT keeps them in a configuration, not in tensors.
//
// diffusers writes it into the file's metadata ("lora_adapter_metadata", its names led by the part:
// "unet.lora_alpha"), PEFT into an adapter_config.json beside adapter_model.safetensors.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weights/adapter_file.h"

namespace sdxl {

// Sets the alphas of modules that have no tensor for it. An "alpha_pattern" counts for modules whose path
// ends in its name; patterns that are more than a name are refused. Fails with kInvalidModel for a
// configuration that is broken.
void read_configured_scales(std::vector<AdapterModule>& modules,
                            const std::map<std::string, std::string>& metadata,
                            const std::filesystem::path& path);

}  // namespace sdxl
