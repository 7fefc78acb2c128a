// A CLIP vision encoder on disk, which reference images are looked at with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

struct ImageEncoderCheckpoint {
    std::filesystem::path path;          // of the weights
    WeightMap weights{"image_encoder"};  // under transformers' names
    std::string config;                  // the vision encoder's config.json, "" if there is none
    std::vector<std::string> warnings;
};

// Opens a folder with model.safetensors and config.json, or a .safetensors file (whose config.json, if it is
// called model.safetensors, lies beside it), with transformers' or OpenCLIP's names; of a whole CLIP the
// vision encoder is taken. Reads headers only. Fails with kNotFound, kUnsupported (another file format), or
// kInvalidModel for a file that is broken or is no vision encoder (named).
ImageEncoderCheckpoint open_image_encoder(const std::filesystem::path& path);

}  // namespace sdxl
