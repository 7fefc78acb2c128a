#include "core/file_stamp.h"

#include <algorithm>
#include <system_error>
#include <vector>

namespace sdxl {

bool is_there(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

std::string file_stamp(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    if (!fs::is_directory(path, ignored))
        return std::to_string(fs::file_size(path, ignored)) + "@" +
               std::to_string(fs::last_write_time(path, ignored).time_since_epoch().count());
    std::vector<std::string> parts;
    for (fs::recursive_directory_iterator at(path, ignored), end; at != end; at.increment(ignored))
        if (at->is_regular_file(ignored)) parts.push_back(at->path().string() + file_stamp(at->path()));
    std::sort(parts.begin(), parts.end());
    std::string all;
    for (const auto& part : parts) all += part + "\n";
    return all;
}

}  // namespace sdxl
