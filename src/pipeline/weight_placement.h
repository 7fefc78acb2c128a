// The weights of one component: which of them are in memory while they are not computed with.
//
// They stay, once they are made, or they stream: what exceeds a budget is made from the mapped file when an
// op asks for it and dropped when the next but one does. Files are read ahead of that. On the CPU that costs
// the packing of each such weight in each step, and little else where the file is in the page cache.
//
// Owns the slots. Threads: one at a time; what it drops must not be computed with. Errors: those of making a
// weight (Failure, std::bad_alloc); a slot has its value then or has none.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "core/cancel_token.h"
#include "ops/slot.h"
#include "weights/weight_scope.h"

namespace sdxl {

class WeightPlacement final : public SlotKeeper {
  public:
    // What is not larger stays also while others stream: norms and the like.
    static constexpr std::size_t kSmall = std::size_t{64} << 10U;
    using Make = std::function<WeightSlot::Value(WeightSlot& slot, std::size_t place)>;
    using Progress = std::function<void(std::uint64_t bytes)>;

    WeightPlacement() = default;
    WeightPlacement(const WeightPlacement&) = delete;
    WeightPlacement& operator=(const WeightPlacement&) = delete;

    // For the constructors of the component's modules.
    WeightSlots* slots() { return &slots_; }
    const WeightSlots& all() const { return slots_; }
    // Once they are there: `map` holds what they are made of and must outlive this; `make` makes the value of
    // the slot at a place of all(), null: the slot itself does.
    void keep(const WeightMap& map, Make make = nullptr);

    void stay() { streams_ = false; }
    // What is in memory beyond `budget` bytes goes again after use; what is there by now counts.
    void stream(std::uint64_t budget);
    bool streams() const { return streams_; }

    // Makes all that is not there. Tells `progress`, where it is not null, of the bytes of the tensors of
    // each slot in the file, whether it was there or not.
    void make_all(const CancelToken& cancel, const Progress& progress = nullptr);
    bool complete() const;
    // Drops all values; they are made again when they are used.
    void drop_all();
    void fetch(WeightSlot& slot) override;
    // Puts another value in the place of the slot's.
    WeightSlot::Value exchange(WeightSlot& slot, WeightSlot::Value value);

    // Another one whenever a value came, went or was exchanged.
    std::uint64_t version() const { return version_; }
    // In memory now.
    std::uint64_t resident_bytes() const { return resident_; }  // any thread

  private:
    void drop(WeightSlot& slot);
    void read_ahead(const WeightSlot& slot);
    std::uint64_t file_bytes(const WeightSlot& slot) const;

    WeightSlots slots_;
    const WeightMap* map_ = nullptr;
    Make make_;
    std::map<const WeightSlot*, std::size_t> places_;  // in slots_
    bool streams_ = false;
    std::uint64_t budget_ = 0;
    std::uint64_t version_ = 0;
    std::atomic<std::uint64_t> resident_{0};
    std::size_t last_read_ = 0;        // the slot that was read ahead of last
    std::size_t asked_ = 0;            // slots before it were read ahead in this pass
    std::deque<WeightSlot*> passing_;  // in memory beyond the budget, the oldest first
};

}  // namespace sdxl
