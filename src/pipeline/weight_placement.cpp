#include "pipeline/weight_placement.h"

#include <algorithm>
#include <utility>

namespace sdxl {
namespace {

constexpr std::uint64_t kAheadBytes = std::uint64_t{64} << 20;

}  // namespace

void WeightPlacement::keep(const WeightMap& map, Make make) {
    map_ = &map;
    make_ = std::move(make);
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        slots_[i]->keeper = this;
        places_[slots_[i].get()] = i;
    }
}

void WeightPlacement::stream(std::uint64_t budget) {
    streams_ = true;
    budget_ = budget;
    for (auto slot = slots_.rbegin(); slot != slots_.rend() && resident_ > budget_; ++slot) drop(**slot);
}

void WeightPlacement::make_all(const CancelToken& cancel, const Progress& progress) {
    for (const auto& slot : slots_) {
        cancel.check();
        if (!slot->value) fetch(*slot);
        if (progress) progress(file_bytes(*slot));
    }
}

bool WeightPlacement::complete() const {
    return std::ranges::all_of(slots_, [](const auto& slot) { return slot->value != nullptr; });
}

void WeightPlacement::drop_all() {
    for (const auto& slot : slots_) drop(*slot);
}

void WeightPlacement::drop(WeightSlot& slot) {
    if (!slot.value) return;
    ++version_;
    resident_ -= slot.bytes_of(slot.value.get());
    slot.value.reset();
    std::erase(passing_, &slot);
}

void WeightPlacement::fetch(WeightSlot& slot) {
    if (slot.value) return;
    // The one that was fetched last may still be needed by the op that asks for another.
    while (passing_.size() > 1) drop(*passing_.front());
    if (streams_) read_ahead(slot);
    slot.value = make_ ? make_(slot, places_.at(&slot)) : slot.make();
    ++version_;
    const std::size_t bytes = slot.bytes_of(slot.value.get());
    resident_ += bytes;
    if (streams_ && bytes > kSmall && resident_ > budget_) passing_.push_back(&slot);
}

WeightSlot::Value WeightPlacement::exchange(WeightSlot& slot, WeightSlot::Value value) {
    const auto bytes = [&] { return slot.value ? slot.bytes_of(slot.value.get()) : 0; };
    ++version_;
    resident_ -= bytes();
    std::swap(slot.value, value);
    resident_ += bytes();
    return value;
}

// Slots were made in about the order in which they are used. What was asked for in this pass is not asked for
// again.
void WeightPlacement::read_ahead(const WeightSlot& slot) {
    const std::size_t here = places_.at(&slot);
    if (here < last_read_) asked_ = 0;
    last_read_ = here;
    std::uint64_t ahead = 0;
    for (std::size_t i = here + 1; i < slots_.size() && ahead < kAheadBytes; ++i) {
        if (slots_[i]->value) continue;
        for (const auto& name : slots_[i]->tensors) {
            const WeightMap::Entry* entry = map_->find(name);
            if (entry == nullptr) continue;
            if (i >= asked_) entry->bytes->will_need(entry->view.data, entry->view.bytes());
            ahead += entry->view.bytes();
        }
        asked_ = std::max(asked_, i + 1);
    }
}

std::uint64_t WeightPlacement::file_bytes(const WeightSlot& slot) const {
    std::uint64_t sum = 0;
    for (const auto& name : slot.tensors)
        if (const WeightMap::Entry* entry = map_->find(name)) sum += entry->view.bytes();
    return sum;
}

}  // namespace sdxl
