// Whether a file or folder is there, and still the one that was read.
//
// Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace sdxl {

// What cannot be looked at is not there.
bool is_there(const std::filesystem::path& path);

// Changes with the file's size and time of writing; of a folder, with those of every file below it. What
// cannot be read has a stamp, too.
std::string file_stamp(const std::filesystem::path& path);

}  // namespace sdxl
