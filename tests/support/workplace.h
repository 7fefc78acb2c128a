// Workplace: a temporary folder for one run of the program, with its output folder. Removed at the end.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sdxl {

class Workplace {
  public:
    // The models folder is `fixtures`, where "micro" is a model; with `names` it is one of our own in which
    // copies of that model have these names.
    explicit Workplace(const std::filesystem::path& fixtures, const std::vector<std::string>& names = {});
    ~Workplace();
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;

    const std::filesystem::path& folder() const { return folder_; }
    const std::filesystem::path& models() const { return models_; }
    std::filesystem::path output() const { return folder_ / "out"; }
    // The program with these folders and `more` options.
    std::vector<std::string> command(const std::string& program,
                                     const std::vector<std::string>& more = {}) const;

  private:
    std::filesystem::path folder_;
    std::filesystem::path models_;
};

}  // namespace sdxl
