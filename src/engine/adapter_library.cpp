#include "engine/adapter_library.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "engine/model_cache.h"

namespace sdxl {
namespace {

constexpr std::size_t kMostFiles = 32;  // mapped, so what they take is next to nothing

// Does `work`; what fails is told to be the fault of the request's part at `pointer`.
template <class Work>
auto at(const std::string& pointer, Work work) {
    try {
        return work();
    } catch (const Failure& failure) {
        Error error = failure.error();
        if (error.pointer.empty()) error.pointer = pointer;
        throw Failure(std::move(error));
    }
}

}  // namespace

std::filesystem::path AdapterLibrary::path_of(const LoraRequest& lora) const {
    return at(lora.pointer, [&] { return resolve_file(FileKind::kLora, lora.file, models_dir_, confine_); });
}

Adapter AdapterLibrary::read(const LoraRequest& lora) {
    const auto path = path_of(lora);
    const std::string stamp = ModelCache::stamp_of(path);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& entry) { return entry.path == path; });
    if (found != entries_.end() && found->stamp == stamp) {
        std::rotate(found, found + 1, entries_.end());
        return entries_.back().adapter;
    }
    if (found != entries_.end()) entries_.erase(found);
    return at(lora.pointer, [&] {
        Adapter adapter;
        adapter.file = std::make_shared<const AdapterFile>(AdapterFile::open(path));
        adapter.hash = adapter.file->content_hash();
        if (entries_.size() == kMostFiles) entries_.erase(entries_.begin());
        entries_.push_back({path, stamp, adapter});
        return adapter;
    });
}

}  // namespace sdxl
