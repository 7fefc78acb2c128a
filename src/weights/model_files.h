// The files that a model is put together from: a checkpoint, and what stands in for parts of it.
//
// Plain values. A part's file or folder holds nothing but the part (diffusers' or the original names, with or
// without the prefix of a whole checkpoint), or a whole model, whose part is taken.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace sdxl {

struct ModelFiles {
    std::filesystem::path base;
    // "": the base's own.
    std::filesystem::path unet = {};
    std::filesystem::path text_encoder = {};
    std::filesystem::path text_encoder_2 = {};
    // A folder with vocab.json and merges.txt, for both encoders, or one with folders tokenizer and
    // tokenizer_2.
    std::filesystem::path tokenizer = {};

    bool operator==(const ModelFiles&) const = default;
    // All that are set, the base first.
    std::vector<std::filesystem::path> all() const;
    // Changes with any of them.
    std::string stamp() const;
    // "base.safetensors", "base.safetensors with another unet (tuned)".
    std::string describe() const;
};

// The checkpoint with these parts in it. Fails as open_checkpoint, naming the part's path; with kInvalidModel
// for a file that holds no such part.
Checkpoint open_checkpoint(const ModelFiles& files);

}  // namespace sdxl
