// The models that an engine keeps ready: as many as memory and a budget hold, the one that was used longest
// ago going first. VAEs that stand in for a model's own are kept, too. What several of them are made of (a
// text encoder, a VAE) is in memory once.
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
    // The backend must outlive it. `models_dir` and `confine` are those of resolve_model; `default_model`
    // is as a request names one, but that confinement does not concern it, "": there is none; `budget_bytes`
    // is for the weights of all models, 0: as many as memory holds.
    ModelCache(Backend& backend, const std::filesystem::path& models_dir, bool confine,
               std::string default_model, std::uint64_t budget_bytes)
        : backend_(backend),
          models_dir_(models_dir.empty() ? models_dir : std::filesystem::absolute(models_dir)),
          confine_(confine),
          default_model_(std::move(default_model)),
          budget_(budget_bytes) {}

    // The path of a model that a request names: by a host's name for it, else as resolve_model says.
    std::filesystem::path path_of(const std::string& name) const { return suite_of(name, {}).files.base; }

    // What a host had loaded under a name.
    struct Suite {
        ModelFiles files;
        std::filesystem::path vae = {};      // in place of its own, "" if none is
        std::filesystem::path refiner = {};  // that is ready beside it, "" if none is

        bool operator==(const Suite&) const = default;
    };
    // With these parts in place of its own. "" is the one that was used last, but for refiners where there is
    // something else, else the default one. Fails as resolve_model; with kInvalidRequest for "" where there
    // is no model at all.
    Suite suite_of(const std::string& name, const ModelParts& parts) const;
    // Whether its checkpoint is the default model's, where that has stood in for a name.
    bool is_default(const ModelFiles& files) const;

    struct Found {
        std::shared_ptr<const SdxlModel> model;
        ModelInfo info;
        bool opened_now = false;
        std::string stamp;  // of its files
    };
    // The model of these files, opened if it is not there; its weights are made when they are used, or by
    // make_ready(). One of the same files that were changed since goes. Fails as open_sdxl_model does.
    Found get(const ModelFiles& files, WeightForm form);
    bool has(const ModelFiles& files) const;
    // From now on `id` names this suite, whose model is there.
    void name(const std::string& id, const Suite& suite);
    // Makes the weights that are not in memory. Returns the seconds that it took, 0 if all were there. Fails
    // as make_weights does.
    double make_ready(const SdxlModel& model, const PartsToMake& parts, const CancelToken& cancel,
                      const LoadProgress& progress);
    // Lets other models go, the one that was used longest ago first, until the rest of them takes at most
    // `others` bytes, and fits into the budget beside `weights` bytes of this one.
    void make_room(const SdxlModel& model, std::uint64_t weights, std::uint64_t others);
    // The VAE at `path`, alone or out of a model. `warnings` are those of its opening. Fails as
    // open_vae_model.
    std::shared_ptr<const VaeModel> get_vae(const std::filesystem::path& path, DType compute,
                                            std::vector<std::string>& warnings);
    // In memory, of all models and VAEs but this one, shared parts counted once and those of `model` not.
    std::uint64_t resident_beside(const SdxlModel& model) const;
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

    Suite last_used() const;
    // Moves an entry to the front; null if there is none.
    Entry* find(const ModelFiles& files, WeightForm form, const std::string& stamp);
    void drop(std::size_t index);
    Entry take_out(std::size_t index);

    Backend& backend_;
    ModelShelf shelf_;
    std::function<void()> spare_;
    std::filesystem::path models_dir_;
    bool confine_;
    std::string default_model_;
    std::uint64_t budget_;
    mutable std::mutex mutex_;    // for writing by the loop thread and reading by others
    std::vector<Entry> entries_;  // the last used first
    std::uint64_t loads_ = 0;
    mutable std::filesystem::path default_path_;        // once it was looked for
    std::vector<std::pair<std::string, Suite>> names_;  // hosts' names, oldest first
    std::vector<VaeEntry> vaes_;                        // the loop thread's alone
};

}  // namespace sdxl
