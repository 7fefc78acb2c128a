// The models that an engine keeps ready: as many as memory holds, the one that was used longest ago going
// first. VAEs that stand in for a model's own are kept, too.
//
// It also knows the names under which hosts had models loaded: such a name stands for its path until it is
// unloaded, whatever was loaded in between.
//
// Threads: get(), get_vae() and unload() from the loop thread; everything else from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "pipeline/sdxl_model.h"
#include "request/commands.h"

namespace sdxl {

class ModelCache {
  public:
    // The backend must outlive it. `models_dir` and `confine` are those of resolve_model.
    ModelCache(Backend& backend, const std::filesystem::path& models_dir, bool confine)
        : backend_(backend),
          models_dir_(models_dir.empty() ? models_dir : std::filesystem::absolute(models_dir)),
          confine_(confine) {}

    // The path of a model that a request names: by a host's name for it, else as resolve_model says.
    std::filesystem::path path_of(const std::string& name) const;
    // Changes with the model's files.
    static std::string stamp_of(const std::filesystem::path& path);

    struct Found {
        std::shared_ptr<const SdxlModel> model;
        ModelInfo info;
        bool loaded_now = false;
        std::string stamp;  // of its files
    };
    // The model at `path`, loaded if it is not there; others make room for it where memory is short. `id` is
    // the host's name for it, or "". Fails as load_sdxl_model does.
    Found get(const std::filesystem::path& path, DType compute, const std::string& id,
              const CancelToken& cancel, const LoadProgress& progress);
    // The VAE at `path`, alone or out of a model. `warnings` are those of its loading. Fails as
    // load_vae_model.
    std::shared_ptr<const VaeModel> get_vae(const std::filesystem::path& path, DType compute,
                                            const CancelToken& cancel, std::vector<std::string>& warnings);
    // Forgets weights under adapters that are not in use.
    void drop_unused();
    // Bytes of these.
    std::uint64_t unused_bytes() const;
    // Called where memory is short, before any model has to go.
    void set_spare(std::function<void()> spare) { spare_ = std::move(spare); }
    // By id, file name or path; "" means whatever is there. Returns the ids of what was unloaded.
    std::vector<std::string> unload(const std::string& name);

    // The one that was used last comes first.
    std::vector<ModelInfo> loaded() const;
    std::uint64_t loads() const;

  private:
    struct Entry {
        std::shared_ptr<const SdxlModel> model;
        ModelInfo info;
        std::string stamp;
    };
    struct VaeEntry {
        std::filesystem::path path;
        std::string stamp;
        std::shared_ptr<const VaeModel> vae;
        std::vector<std::string> warnings;
    };

    // Moves an entry to the front; null if there is none.
    Entry* find(const std::filesystem::path& path, DType compute, const std::string& stamp);
    void make_room(const std::filesystem::path& path, std::uint64_t bytes);
    Entry take_out(std::size_t index);
    void remember(const std::string& id, const std::filesystem::path& path);

    Backend& backend_;
    std::function<void()> spare_;
    std::filesystem::path models_dir_;
    bool confine_;
    mutable std::mutex mutex_;    // for writing by the loop thread and reading by others
    std::vector<Entry> entries_;  // the last used first
    std::uint64_t loads_ = 0;
    std::vector<std::pair<std::string, std::filesystem::path>> names_;  // hosts' names, oldest first
    std::vector<VaeEntry> vaes_;                                        // the loop thread's alone
};

}  // namespace sdxl
