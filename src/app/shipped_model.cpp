#include "app/shipped_model.h"

#include <system_error>

namespace sdxl {

namespace fs = std::filesystem;

fs::path shipped_model() {
    std::error_code error;
    const auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    for (const fs::path& place : {folder / "demo", folder.parent_path() / "share" / "sdxl-worker" / "demo",
                                  fs::path(SDXL_SOURCE_DEMO)})
        if (fs::is_regular_file(place / "model_index.json", error)) return place;
    return {};
}

}  // namespace sdxl
