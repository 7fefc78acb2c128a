// A small text file (vocabulary, merges, configuration) as a string.
#pragma once

#include <filesystem>
#include <string>

namespace sdxl {

// Fails with kNotFound when it is not there, kIo when it cannot be read and kInvalidModel when it is larger
// than `max_bytes`; the message names the file.
std::string read_text_file(const std::filesystem::path& path, std::uintmax_t max_bytes);

}  // namespace sdxl
