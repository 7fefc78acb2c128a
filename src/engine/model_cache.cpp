#include "engine/model_cache.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "core/host.h"
#include "weights/resolve_model.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNames = 256;
constexpr std::size_t kMostModels = 8;
constexpr std::size_t kMostVaes = 2;
// What a generation takes beside the weights, at 1024 x 1024 pixels.
constexpr std::uint64_t kWorkingBytes = std::uint64_t{3} << 30U;

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
        for (const Entry& entry : entries_)
            if (name == entry.info.path) return name;
    }
    return resolve_model(name, models_dir_, confine_);
}

void ModelCache::remember(const std::string& id, const fs::path& path) {
    std::erase_if(names_, [&](const auto& known) { return known.first == id; });
    if (names_.size() == kMostNames) names_.erase(names_.begin());
    names_.emplace_back(id, path);
}

ModelCache::Entry* ModelCache::find(const fs::path& path, DType compute, const std::string& stamp) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.model->path == path && entry.model->compute == compute && entry.stamp == stamp;
    });
    if (found == entries_.end()) return nullptr;
    std::rotate(entries_.begin(), found, found + 1);
    return &entries_.front();
}

ModelCache::Found ModelCache::get(const fs::path& path, DType compute, const std::string& id,
                                  const CancelToken& cancel, const LoadProgress& progress) {
    const std::string stamp = stamp_of(path);
    {
        const std::lock_guard lock(mutex_);
        if (Entry* entry = find(path, compute, stamp)) {
            if (!id.empty()) {
                entry->info.id = id;
                remember(id, path);
            }
            Found found{entry->model, entry->info, false, stamp};
            found.info.load_seconds = 0;
            return found;
        }
    }
    const auto begin = std::chrono::steady_clock::now();
    make_room(path, loaded_bytes(path, compute));
    auto model = load_sdxl_model(path, backend_, compute, cancel, progress);
    ModelInfo info;
    info.id = id.empty() ? path.stem().string() : id;
    info.path = path.string();
    info.kind = "sdxl-" + std::string(model_kind_name(model->kind));
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
    entries_.insert(entries_.begin(), {model, info, stamp});
    ++loads_;
    return {std::move(model), info, true, stamp};
}

void ModelCache::drop_unused() {
    for (const Entry& entry : entries_) entry.model->weights->drop_unused();
    backend_.release_cached_memory();
}

std::uint64_t ModelCache::unused_bytes() const {
    std::uint64_t sum = 0;
    for (const Entry& entry : entries_) sum += entry.model->weights->unused_bytes();
    return sum;
}

// Frees what stands at the same path, and then what was used longest ago until the new one fits.
void ModelCache::make_room(const fs::path& path, std::uint64_t bytes) {
    const auto drop = [this](std::size_t index) {
        { const Entry gone = take_out(index); }
        backend_.release_cached_memory();
    };
    for (std::size_t i = entries_.size(); i-- > 0;)
        if (entries_[i].model->path == path) drop(i);
    const std::uint64_t free = host_memory().available_bytes;
    if (free > 0 && bytes + kWorkingBytes > free) {
        if (spare_) spare_();
        drop_unused();
    }
    while (!entries_.empty()) {
        const std::uint64_t available = host_memory().available_bytes;
        if (entries_.size() < kMostModels && (available == 0 || bytes + kWorkingBytes <= available)) return;
        vaes_.clear();
        drop(entries_.size() - 1);
    }
}

ModelCache::Entry ModelCache::take_out(std::size_t index) {
    const std::lock_guard lock(mutex_);
    Entry entry = std::move(entries_[index]);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
    return entry;
}

std::shared_ptr<const VaeModel> ModelCache::get_vae(const fs::path& path, DType compute,
                                                    const CancelToken& cancel,
                                                    std::vector<std::string>& warnings) {
    const std::string stamp = stamp_of(path);
    const auto found = std::find_if(vaes_.begin(), vaes_.end(), [&](const VaeEntry& entry) {
        return entry.path == path && entry.stamp == stamp && entry.vae->compute() == compute;
    });
    if (found == vaes_.end()) {
        if (vaes_.size() == kMostVaes) vaes_.erase(vaes_.begin());
        VaeEntry entry{path, stamp, nullptr, {}};
        entry.vae = load_vae_model(path, backend_, compute, cancel, entry.warnings);
        vaes_.push_back(std::move(entry));
    } else {
        std::rotate(found, found + 1, vaes_.end());
    }
    warnings = vaes_.back().warnings;
    return vaes_.back().vae;
}

std::vector<std::string> ModelCache::unload(const std::string& name) {
    std::vector<std::string> ids;
    std::vector<Entry> gone;
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < entries_.size();) {
            const ModelInfo& info = entries_[i].info;
            const fs::path path(info.path);
            if (!(name.empty() || name == info.id || name == info.path || name == path.stem() ||
                  name == path.filename())) {
                ++i;
                continue;
            }
            std::erase_if(names_, [&](const auto& known) { return known.second == path; });
            ids.push_back(info.id);
            gone.push_back(std::move(entries_[i]));
            entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    if (name.empty()) vaes_.clear();
    gone.clear();
    backend_.release_cached_memory();
    return ids;
}

std::vector<ModelInfo> ModelCache::loaded() const {
    const std::lock_guard lock(mutex_);
    std::vector<ModelInfo> infos;
    for (const Entry& entry : entries_) infos.push_back(entry.info);
    return infos;
}

std::uint64_t ModelCache::loads() const {
    const std::lock_guard lock(mutex_);
    return loads_;
}

}  // namespace sdxl
