#include "engine/model_cache.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/file_stamp.h"
#include "pipeline/memory_plan.h"
#include "weights/resolve_model.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNames = 256;
constexpr std::size_t kMostModels = 8;
constexpr std::size_t kMostVaes = 2;

}  // namespace

ModelCache::Suite ModelCache::suite_of(const std::string& name, const ModelParts& parts) const {
    std::optional<Suite> known;
    if (name.empty()) {
        known = last_used();
    } else {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, suite] : names_)
            if (id == name) known = suite;
        for (const Entry& entry : entries_)
            if (!known && name == entry.info.path) known = Suite{{name}};
    }
    Suite suite = known ? *known : Suite{{resolve_model(name, models_dir_, confine_)}};
    const auto replace = [&](fs::path& path, const std::string& part) {
        if (!part.empty()) path = resolve_model(part, models_dir_, confine_);
    };
    replace(suite.files.unet, parts.unet);
    replace(suite.files.text_encoder, parts.text_encoder);
    replace(suite.files.text_encoder_2, parts.text_encoder_2);
    replace(suite.files.tokenizer, parts.tokenizer);
    return suite;
}

bool ModelCache::has(const ModelFiles& files) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& entry) { return entry.model->files == files; });
}

ModelCache::Suite ModelCache::last_used() const {
    const std::lock_guard lock(mutex_);
    if (entries_.empty()) {
        if (!default_model_.empty()) {
            default_path_ = resolve_model(default_model_, models_dir_, false);
            return Suite{{default_path_}};
        }
        fail(ErrorCode::kInvalidRequest,
             "no model: the request names none (model_name), none is loaded, and this worker has no default "
             "one (--default-model); name one or load one first");
    }
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [](const Entry& entry) { return entry.model->kind != ModelKind::kRefiner; });
    if (found == entries_.end()) found = entries_.begin();
    for (const auto& [id, suite] : names_)
        if (id == found->info.id && suite.files == found->model->files) return suite;
    return Suite{found->model->files};
}

bool ModelCache::is_default(const ModelFiles& files) const {
    const std::lock_guard lock(mutex_);
    return !default_path_.empty() && files.base == default_path_;
}

void ModelCache::name(const std::string& id, const Suite& suite) {
    const std::lock_guard lock(mutex_);
    std::erase_if(names_, [&](const auto& known) { return known.first == id; });
    if (names_.size() == kMostNames) names_.erase(names_.begin());
    names_.emplace_back(id, suite);
    for (Entry& entry : entries_)
        if (entry.model->files == suite.files) entry.info.id = id;
}

ModelCache::Entry* ModelCache::find(const ModelFiles& files, WeightForm form, const std::string& stamp) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.model->files == files && entry.model->compute == form.compute &&
               entry.model->int8 == form.int8 && entry.stamp == stamp;
    });
    if (found == entries_.end()) return nullptr;
    std::rotate(entries_.begin(), found, found + 1);
    return &entries_.front();
}

namespace {

ModelInfo describe(const SdxlModel& model) {
    ModelInfo info;
    info.id = model.path.stem().string();
    info.path = model.path.string();
    info.kind = "sdxl-" + std::string(model_kind_name(model.kind));
    info.loaded = true;
    info.dtype = model.dtype();
    info.size_bytes = model.weight_bytes;
    info.warnings = model.warnings;
    const auto add = [&](const char* part, const fs::path& path) {
        if (!path.empty()) info.parts.emplace_back(part, path.string());
    };
    add("unet", model.files.unet);
    add("text_encoder", model.files.text_encoder);
    add("text_encoder_2", model.files.text_encoder_2);
    add("tokenizer", model.files.tokenizer);
    return info;
}

}  // namespace

ModelCache::Found ModelCache::get(const ModelFiles& files, WeightForm form) {
    const std::string stamp = files.stamp();
    {
        const std::lock_guard lock(mutex_);
        if (const Entry* entry = find(files, form, stamp)) return {entry->model, entry->info, false, stamp};
    }
    // What was changed, or is wanted in another precision.
    for (std::size_t i = entries_.size(); i-- > 0;)
        if (entries_[i].model->files == files) drop(i);
    while (entries_.size() >= kMostModels) drop(entries_.size() - 1);
    auto model = open_sdxl_model(files, backend_, form, shelf_);
    ModelInfo info = describe(*model);
    const std::lock_guard lock(mutex_);
    for (const auto& [id, suite] : names_)
        if (suite.files == files) info.id = id;
    entries_.insert(entries_.begin(), {model, info, stamp});
    ++loads_;
    return {std::move(model), std::move(info), true, stamp};
}

double ModelCache::make_ready(const SdxlModel& model, const PartsToMake& parts, const CancelToken& cancel,
                              const LoadProgress& progress) {
    const auto begin = std::chrono::steady_clock::now();
    bool made = false;
    make_weights(model, parts, cancel, [&](std::uint64_t done, std::uint64_t total) {
        made = true;
        if (progress) progress(done, total);
    });
    if (!made) return 0;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::uint64_t ModelCache::resident_beside(const SdxlModel& model) const {
    std::set<const WeightPlacement*> others;
    for (const Entry& entry : entries_)
        for (const WeightPlacement* placement : entry.model->placements()) others.insert(placement);
    for (const VaeEntry& entry : vaes_) others.insert(&entry.vae->placement());
    for (const WeightPlacement* own : model.placements()) others.erase(own);
    std::uint64_t sum = 0;
    for (const WeightPlacement* placement : others) sum += placement->resident_bytes();
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

// A suite by its id alone; by a path, all that are made of it.
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
            std::erase_if(names_,
                          [&](const auto& known) { return known.second.files == entries_[i].model->files; });
            ids.push_back(info.id);
            gone.push_back(std::move(entries_[i]));
            entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        // Made room for others: its name is left.
        std::erase_if(names_, [&](const auto& known) {
            if (known.first != name && !name.empty()) return false;
            if (!name.empty() && ids.empty()) ids.push_back(name);
            return true;
        });
    }
    if (name.empty()) vaes_.clear();
    gone.clear();
    // A VAE that no suite has any more.
    std::erase_if(vaes_, [&](const VaeEntry& entry) {
        return std::none_of(names_.begin(), names_.end(),
                            [&](const auto& known) { return known.second.vae == entry.path; });
    });
    backend_.release_cached_memory();
    return ids;
}

std::vector<ModelInfo> ModelCache::loaded() const {
    const std::lock_guard lock(mutex_);
    std::vector<ModelInfo> infos;
    for (const Entry& entry : entries_) {
        ModelInfo info = entry.info;
        info.memory_bytes = resident_bytes(*entry.model);
        for (const auto& [id, suite] : names_) {
            if (suite.files != entry.model->files || id != info.id) continue;
            if (!suite.vae.empty()) info.parts.emplace_back("vae", suite.vae.string());
            if (!suite.refiner.empty()) info.parts.emplace_back("refiner", suite.refiner.string());
        }
        infos.push_back(std::move(info));
    }
    return infos;
}

std::uint64_t ModelCache::loads() const {
    const std::lock_guard lock(mutex_);
    return loads_;
}

}  // namespace sdxl
