// A VAE on disk, alone or in a model: what stands in for a model's own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

enum class VaeKind {
    kKl,    // AutoencoderKL
    kTiny,  // AutoencoderTiny: TAESDXL
};

struct VaeCheckpoint {
    std::filesystem::path path;
    VaeKind kind = VaeKind::kKl;
    WeightMap weights{"vae"};  // under diffusers' names
    std::string config;        // config.json, "" if there is none
    std::vector<std::string> warnings;
};

// Opens a .safetensors file of a VAE alone (diffusers' names, or the original ones with or without
// "first_stage_model."), a diffusers folder of one, a tiny autoencoder in any of these forms (or its decoder
// alone), or a whole model, whose VAE is taken. Fails as open_checkpoint does.
VaeCheckpoint open_vae(const std::filesystem::path& path);

}  // namespace sdxl
