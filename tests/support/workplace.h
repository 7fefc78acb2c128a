// Workplace: a temporary folder for one run of the program: models/micro, and an output folder. Removed at
// the end.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sdxl {

class Workplace {
  public:
    // Copies the micro model from `fixtures`, under each of `names`.
    explicit Workplace(const std::filesystem::path& fixtures,
                       const std::vector<std::string>& names = {"micro"});
    ~Workplace();
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;

    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path models() const { return folder_ / "models"; }
    std::filesystem::path output() const { return folder_ / "out"; }
    // The program with these folders and `more` options.
    std::vector<std::string> command(const std::string& program,
                                     const std::vector<std::string>& more = {}) const;

  private:
    std::filesystem::path folder_;
};

}  // namespace sdxl
