#include "workplace.h"

#include <unistd.h>

#include <chrono>

namespace sdxl {

namespace fs = std::filesystem;

Workplace::Workplace(const fs::path& fixtures, const std::vector<std::string>& names)
    : folder_(fs::temp_directory_path() /
              ("sdxl_" + std::to_string(::getpid()) + "_" +
               std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()))) {
    fs::create_directories(folder_);
    models_ = names.empty() ? fs::canonical(fixtures) : folder_ / "models";
    for (const auto& name : names) {
        fs::create_directories(models_);
        fs::copy(fs::canonical(fixtures / "micro"), models_ / name, fs::copy_options::recursive);
    }
}

Workplace::~Workplace() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

std::vector<std::string> Workplace::command(const std::string& program,
                                            const std::vector<std::string>& more) const {
    std::vector<std::string> parts{program, "--models-dir", models().string(), "--output-dir",
                                   output().string()};
    parts.insert(parts.end(), more.begin(), more.end());
    return parts;
}

}  // namespace sdxl
