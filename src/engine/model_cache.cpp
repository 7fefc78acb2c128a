#include "engine/model_cache.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "weights/resolve_model.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNames = 256;

}  // namespace

std::string ModelCache::stamp_of(const fs::path& path) {
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

fs::path ModelCache::path_of(const std::string& name) const {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, path] : names_)
            if (id == name) return path;
        if (model_ && name == info_.path) return name;
    }
    return resolve_model(name, models_dir_, confine_);
}

void ModelCache::remember(const std::string& id, const fs::path& path) {
    std::erase_if(names_, [&](const auto& known) { return known.first == id; });
    if (names_.size() == kMostNames) names_.erase(names_.begin());
    names_.emplace_back(id, path);
}

ModelCache::Found ModelCache::get(const fs::path& path, DType compute, const std::string& id,
                                  const CancelToken& cancel, const LoadProgress& progress) {
    const std::string stamp = stamp_of(path);
    if (model_ && model_->path == path && model_->compute == compute && stamp_ == stamp) {
        const std::lock_guard lock(mutex_);
        if (!id.empty()) {
            info_.id = id;
            remember(id, path);
        }
        Found found{model_, info_, false, stamp};
        found.info.load_seconds = 0;
        return found;
    }
    const auto begin = std::chrono::steady_clock::now();
    evict();
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
    if (id.empty()) {
        for (const auto& [known, known_path] : names_)
            if (known_path == path) info.id = known;
    } else {
        remember(id, path);
    }
    model_ = std::move(model);
    info_ = info;
    stamp_ = stamp;
    ++loads_;
    return {model_, info, true, stamp};
}

std::vector<std::string> ModelCache::unload(const std::string& name) {
    {
        const std::lock_guard lock(mutex_);
        const fs::path path(info_.path);
        if (!model_ || !(name.empty() || name == info_.id || name == info_.path || name == path.stem() ||
                         name == path.filename()))
            return {};
        std::erase_if(names_, [&](const auto& known) { return known.second == path; });
    }
    return {evict()};
}

std::string ModelCache::evict() {
    std::shared_ptr<const SdxlModel> model;
    std::string id;
    {
        const std::lock_guard lock(mutex_);
        model = std::exchange(model_, nullptr);
        id = std::exchange(info_, {}).id;
    }
    model.reset();
    backend_.release_cached_memory();
    return id;
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
