#include "engine/model_cache.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace sdxl {
namespace {

namespace fs = std::filesystem;

// Sizes and times of the model's files.
std::string stamp_of(const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored))
        return std::to_string(fs::file_size(path, ignored)) + "@" +
               std::to_string(fs::last_write_time(path, ignored).time_since_epoch().count());
    std::vector<std::string> parts;
    for (fs::recursive_directory_iterator at(path, ignored), end; at != end; at.increment(ignored))
        if (at->is_regular_file(ignored)) parts.push_back(at->path().string() + stamp_of(at->path()));
    std::sort(parts.begin(), parts.end());
    std::string all;
    for (const auto& part : parts) all += part + "\n";
    return all;
}

}  // namespace

ModelCache::Found ModelCache::get(const fs::path& path, DType compute, const std::string& id,
                                  const CancelToken& cancel, const LoadProgress& progress) {
    const std::string stamp = stamp_of(path);
    if (model_ && model_->path == path && model_->compute == compute && stamp_ == stamp) {
        const std::lock_guard lock(mutex_);
        if (!id.empty()) info_.id = id;
        Found found{model_, info_, false, stamp};
        found.info.load_seconds = 0;
        return found;
    }
    const auto begin = std::chrono::steady_clock::now();
    unload("");
    auto model = load_sdxl_model(path, backend_, compute, cancel, progress);
    ModelInfo info;
    info.id = id.empty() ? path.stem().string() : id;
    info.path = path.string();
    info.kind = "sdxl-base";
    info.loaded = true;
    info.dtype = std::string(dtype_name(compute));
    info.size_bytes = model->weight_bytes;
    info.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    info.warnings = model->warnings;
    const std::lock_guard lock(mutex_);
    model_ = std::move(model);
    info_ = info;
    stamp_ = stamp;
    ++loads_;
    return {model_, info, true, stamp};
}

std::vector<std::string> ModelCache::unload(const std::string& name) {
    std::shared_ptr<const SdxlModel> model;
    std::string id;
    {
        const std::lock_guard lock(mutex_);
        const fs::path path(info_.path);
        if (!model_ || !(name.empty() || name == info_.id || name == info_.path || name == path.stem() ||
                         name == path.filename()))
            return {};
        model = std::exchange(model_, nullptr);
        id = std::exchange(info_, {}).id;
    }
    model.reset();
    backend_.release_cached_memory();
    return {id};
}

std::vector<ModelInfo> ModelCache::loaded() const {
    const std::lock_guard lock(mutex_);
    return model_ ? std::vector{info_} : std::vector<ModelInfo>{};
}

std::uint64_t ModelCache::loads() const {
    const std::lock_guard lock(mutex_);
    return loads_;
}

}  // namespace sdxl
