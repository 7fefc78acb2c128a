#include "engine/model_cache.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "core/file_stamp.h"
#include "weights/resolve_model.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNames = 256;
constexpr std::size_t kMostModels = 8;
constexpr std::size_t kMostVaes = 2;

// Every network of a model that takes memory, each once.
void collect(const SdxlModel& model, std::set<const WeightPlacement*>& placements) {
    placements.insert(&model.vae->placement());
    for (const AdapterPart part : {AdapterPart::kTextEncoder, AdapterPart::kTextEncoder2, AdapterPart::kUnet})
        if (const AdaptedPart* weights = model.weights->part(part)) placements.insert(&weights->placement());
}

}  // namespace

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

ModelCache::Entry* ModelCache::find(const fs::path& path, WeightForm form, const std::string& stamp) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.model->path == path && entry.model->compute == form.compute &&
               entry.model->int8 == form.int8 && entry.stamp == stamp;
    });
    if (found == entries_.end()) return nullptr;
    std::rotate(entries_.begin(), found, found + 1);
    return &entries_.front();
}

ModelCache::Found ModelCache::get(const fs::path& path, WeightForm form, const std::string& id) {
    const std::string stamp = file_stamp(path);
    {
        const std::lock_guard lock(mutex_);
        if (Entry* entry = find(path, form, stamp)) {
            if (!id.empty()) {
                entry->info.id = id;
                remember(id, path);
            }
            return {entry->model, entry->info, false, stamp};
        }
    }
    // What was changed, or is wanted in another precision.
    for (std::size_t i = entries_.size(); i-- > 0;)
        if (entries_[i].model->path == path) drop(i);
    while (entries_.size() >= kMostModels) drop(entries_.size() - 1);
    auto model = open_sdxl_model(path, backend_, form, shelf_);
    ModelInfo info;
    info.id = id.empty() ? path.stem().string() : id;
    info.path = path.string();
    info.kind = "sdxl-" + std::string(model_kind_name(model->kind));
    info.loaded = true;
    info.dtype = model->dtype();
    info.size_bytes = model->weight_bytes;
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

double ModelCache::make_ready(const SdxlModel& model, const CancelToken& cancel,
                              const LoadProgress& progress) {
    const auto begin = std::chrono::steady_clock::now();
    bool made = false;
    make_weights(model, {}, cancel, [&](std::uint64_t done, std::uint64_t total) {
        made = true;
        if (progress) progress(done, total);
    });
    if (!made) return 0;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::uint64_t ModelCache::resident_beside(const SdxlModel& model) const {
    std::set<const WeightPlacement*> placements, own;
    for (const Entry& entry : entries_) collect(*entry.model, placements);
    for (const VaeEntry& entry : vaes_) placements.insert(&entry.vae->placement());
    collect(model, own);
    std::uint64_t sum = 0;
    for (const WeightPlacement* placement : placements)
        if (!own.contains(placement)) sum += placement->resident_bytes();
    return sum;
}

void ModelCache::make_room(const SdxlModel& model, std::uint64_t weights, std::uint64_t others) {
    if (budget_ > 0) others = std::min(others, budget_ > weights ? budget_ - weights : 0);
    if (resident_beside(model) + unused_bytes() > others) {
        if (spare_) spare_();
        drop_unused();
    }
    for (std::size_t i = entries_.size(); i-- > 0 && resident_beside(model) > others;)
        if (entries_[i].model.get() != &model) drop(i);
    if (resident_beside(model) <= others) return;
    vaes_.clear();
    backend_.release_cached_memory();
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

void ModelCache::drop(std::size_t index) {
    { const Entry gone = take_out(index); }
    backend_.release_cached_memory();
}

ModelCache::Entry ModelCache::take_out(std::size_t index) {
    const std::lock_guard lock(mutex_);
    Entry entry = std::move(entries_[index]);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
    return entry;
}

std::shared_ptr<const VaeModel> ModelCache::get_vae(const fs::path& path, DType compute,
                                                    std::vector<std::string>& warnings) {
    const std::string stamp = file_stamp(path);
    const auto found = std::find_if(vaes_.begin(), vaes_.end(), [&](const VaeEntry& entry) {
        return entry.path == path && entry.stamp == stamp && entry.vae->compute() == compute;
    });
    if (found == vaes_.end()) {
        if (vaes_.size() == kMostVaes) vaes_.erase(vaes_.begin());
        VaeEntry entry{path, stamp, nullptr, {}};
        entry.vae = open_vae_model(path, backend_, compute, shelf_, entry.warnings);
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
