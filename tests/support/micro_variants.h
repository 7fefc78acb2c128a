// Models that the fixtures do not have, made of the micro model's weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sdxl {

struct PlainTensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};
using PlainTensors = std::map<std::string, PlainTensor>;  // by diffusers name

// A safetensors file in float32.
void write_tensors(const std::filesystem::path& path, const PlainTensors& tensors);

enum class MicroKind { kBase, kRefiner };

// A copy of the micro model's folder at `folder` with another UNet. A refiner has no first text encoder, and
// says that empty prompts are encoded.
void write_micro_variant(const std::filesystem::path& folder, const PlainTensors& unet,
                         MicroKind kind = MicroKind::kBase);

// A safetensors file, the folders above it made.
void write_tensors(const std::filesystem::path& path, const PlainTensors& tensors);

// Replaces a component's weights in such a folder: "vae", "unet".
void replace_component(const std::filesystem::path& folder, const std::string& component,
                       const PlainTensors& tensors);

PlainTensors micro_component(const std::string& component);
inline PlainTensors micro_unet() {
    return micro_component("unet");
}
// A refiner: it sees the second text encoder alone and five size embeddings. What it does not see of the
// micro model is 0 in `blind_base`, so that both predict the same.
PlainTensors micro_refiner();
PlainTensors blind_base();
// An inpainting model with `weight` for the channels of the mask and the masked picture.
PlainTensors micro_inpaint(float weight);

}  // namespace sdxl
