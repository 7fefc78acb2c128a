#include "pipeline/read_ahead.h"

#include <algorithm>
#include <utility>

namespace sdxl {
namespace {

constexpr std::uint64_t kWindowBytes = std::uint64_t{768} << 20;

}  // namespace

ReadAhead::ReadAhead(const std::vector<const WeightMap*>& maps) {
    for (const WeightMap* map : maps) {
        const auto first = static_cast<std::ptrdiff_t>(entries_.size());
        for (const auto& [name, entry] : map->entries()) entries_.push_back(&entry);
        // Files are written about in the order in which networks are built; disks like that order too.
        std::sort(entries_.begin() + first, entries_.end(), [](const auto* a, const auto* b) {
            return std::pair(a->bytes.get(), a->view.data) < std::pair(b->bytes.get(), b->view.data);
        });
    }
    thread_ = std::thread([this] { run(); });
}

ReadAhead::~ReadAhead() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void ReadAhead::consumed(std::uint64_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        consumed_ = bytes;
    }
    changed_.notify_all();
}

void ReadAhead::run() {
    std::uint64_t asked = 0;
    for (const WeightMap::Entry* entry : entries_) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stopping_ || asked < consumed_ + kWindowBytes; });
            if (stopping_) return;
        }
        entry->bytes->will_need(entry->view.data, entry->view.bytes());
        asked += entry->view.bytes();
    }
}

}  // namespace sdxl
