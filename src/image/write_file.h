// Files that are there whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace sdxl {

// Writes beside `path` under a temporary name and renames it into place; parent folders are made. Fails with
// kIo naming the path and the reason; nothing is left behind then.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace sdxl
