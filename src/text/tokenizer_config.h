// tokenizer_config.json of a model folder: the special tokens and the padding it asks for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "text/vocabulary.h"

namespace sdxl {

struct TokenizerConfig {
    std::string bos_token{kStartOfText};
    std::string eos_token{kEndOfText};
    std::string unk_token{kEndOfText};
    // Absent where the file names none: CLIP-L then pads with end-of-text, the second SDXL encoder with id 0
    // ("!").
    std::optional<std::string> pad_token;
    int model_max_length = 77;  // ids, with start and end
};

// Fails with kNotFound, kIo or kInvalidModel; the message names the file.
TokenizerConfig load_tokenizer_config(const std::filesystem::path& path);

}  // namespace sdxl
