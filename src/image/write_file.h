// Files that are there whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace sdxl {

// Writes `path` in place of what may be there; parent folders are made. Fails with kIo naming the path and
// the reason; nothing is left behind then. Where the file system can, the file has no name until it is
// complete, so that a killed process leaves nothing either.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

// The same, but only if nothing of that name is there: false, and nothing is written, if something is. Of
// several processes that try at once, one has the name.
bool write_new_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace sdxl
