// Whether a file or folder is still the one that was read.
//
// Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace sdxl {

// Changes with the file's size and time of writing; of a folder, with those of every file below it. What
// cannot be read has a stamp, too.
std::string file_stamp(const std::filesystem::path& path);

}  // namespace sdxl
