// The files that requests add to their models, found under the models folder and read once.
//
// Threads: read() from the loop thread; path_of() from any. Errors: Failure, with the pointer of the request.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/adapted_weights.h"
#include "request/adapters.h"
#include "weights/resolve_model.h"

namespace sdxl {

class AdapterLibrary {
  public:
    AdapterLibrary(std::filesystem::path models_dir, bool confine)
        : models_dir_(std::move(models_dir)), confine_(confine) {}

    std::filesystem::path path_of(const LoraRequest& lora) const;
    // The file, from memory as long as it has not changed on disk.
    Adapter read(const LoraRequest& lora);

  private:
    struct Entry {
        std::filesystem::path path;
        std::string stamp;
        Adapter adapter;
    };

    std::filesystem::path models_dir_;
    bool confine_;
    std::vector<Entry> entries_;  // the last used last
};

}  // namespace sdxl
