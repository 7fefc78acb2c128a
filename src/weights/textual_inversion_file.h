// Textual inversions (embeddings) for SDXL on disk: vectors for both text encoders that a word of the prompt
// stands for. Gal et al., "An Image is Worth One Word", 2022.
//
// Read, as .safetensors or PyTorch's files (torch_file.h): "clip_l" and "clip_g" (kohya, OneTrainer, A1111,
// diffusers' advanced training), "text_encoders_0" and "text_encoders_1" (pivotal tuning), and diffusers'
// files of one token, whose encoder the width tells, or the folder with both of them
// ("learned_embeds.safetensors", "learned_embeds_2.safetensors"). A file for one encoder alone is taken, as
// diffusers takes it: the other one sees the word as it is, and a warning says so. Values: what is read is a
// value, shared by any threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "weights/safetensors.h"

namespace sdxl {

// An encoder's share.
struct InversionVectors {
    std::string tensor;         // its name in the file; "" where the file has none for this encoder
    std::int64_t width = 0;     // the encoder's hidden size; whoever uses them checks it
    std::vector<float> values;  // [vectors, width], all finite
};

struct TextualInversion {
    std::filesystem::path path;
    std::string trigger;       // the token that diffusers' files name, else the file's name without extension
    std::int64_t vectors = 0;  // 1 to 75
    InversionVectors clip_l;   // for the first text encoder
    InversionVectors clip_g;   // for the second; one of the two at least
    std::vector<std::string> warnings;
};

// Fails with kNotFound and kIo as files do; with kUnsupported for pickles that hold more than tensors;
// with kInvalidModel, naming file and tensor, for a broken file, one that is something else (which is named,
// as is an embedding for another model), widths or numbers of vectors that do not fit, and NaN or infinity.
std::shared_ptr<const TextualInversion> load_textual_inversion(const std::filesystem::path& path);

// The same for a file's tensors.
TextualInversion read_textual_inversion(const FileTensors& tensors, const std::filesystem::path& path);

}  // namespace sdxl
