// The models that an engine keeps ready: one, since two of full size rarely fit side by side.
//
// Threads: get() and unload() from the loop thread; loaded() and loads() from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "pipeline/sdxl_model.h"
#include "request/commands.h"

namespace sdxl {

class ModelCache {
  public:
    // The backend must outlive it.
    explicit ModelCache(Backend& backend) : backend_(backend) {}

    struct Found {
        std::shared_ptr<const SdxlModel> model;
        ModelInfo info;
        bool loaded_now = false;
        std::string stamp;  // changes with the files
    };
    // The model at `path`, loaded in place of another one if it is not there. `id` is the host's name for it,
    // or "". Fails as load_sdxl_model does.
    Found get(const std::filesystem::path& path, DType compute, const std::string& id,
              const CancelToken& cancel, const LoadProgress& progress);
    // By id, file name or path; "" means whatever is there. Returns the ids of what was unloaded.
    std::vector<std::string> unload(const std::string& name);

    std::vector<ModelInfo> loaded() const;
    std::uint64_t loads() const;

  private:
    Backend& backend_;
    mutable std::mutex mutex_;  // for writing by the loop thread and reading by others
    std::shared_ptr<const SdxlModel> model_;
    ModelInfo info_;
    std::string stamp_;
    std::uint64_t loads_ = 0;
};

}  // namespace sdxl
