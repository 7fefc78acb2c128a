#include "text/default_vocabulary.h"

#include <system_error>

namespace sdxl {

std::vector<std::filesystem::path> default_vocabulary_candidates() {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return {};
    const auto folder = program.parent_path();
    return {folder / "vocabulary", folder.parent_path() / "vocabulary",
            folder.parent_path() / "build" / "vocabulary",
            folder.parent_path() / "share" / "sdxl-worker" / "vocabulary"};
}

std::optional<std::filesystem::path> default_vocabulary_dir() {
    for (const auto& folder : default_vocabulary_candidates()) {
        std::error_code error;
        if (std::filesystem::is_regular_file(folder / "merges.txt", error)) return folder;
    }
    return std::nullopt;
}

}  // namespace sdxl
