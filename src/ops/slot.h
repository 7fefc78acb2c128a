// Slots: prepared weights that can be exchanged, dropped and made again while the model that uses them stays.
//
// A module keeps what it prepared in a Slotted<T>. Where the LoadContext has a WeightSlots, the slot also
// remembers which tensors it was made of and how, and is made when it is first used, or before that by its
// keeper (pipeline/weight_placement): so that adapters can have it made from other values, and what is not
// computed with need not be in memory. Copies of a Slotted share the slot. Threads: an exchange must not run
// beside a forward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ops/context.h"

namespace sdxl {

struct WeightSlot;

// Whoever decides which slots of a component have their values.
class SlotKeeper {
  public:
    virtual ~SlotKeeper() = default;
    // Gives the slot its value. Values of other slots may go, but not the one that was given last.
    virtual void fetch(WeightSlot& slot) = 0;
};

struct WeightSlot {
    using Value = std::shared_ptr<const void>;

    std::vector<std::string> tensors;  // canonical names of what it is made of, in their component
    // Reads these tensors from their WeightMap, as it is by then, and prepares them.
    std::function<Value()> make;
    // Memory that a value takes, and a digest of it.
    std::size_t (*bytes_of)(const void* value) = nullptr;
    std::function<std::uint64_t(const void* value)> digest_of;
    Value value;                   // null: not in memory
    SlotKeeper* keeper = nullptr;  // null: the slot makes its value itself, and keeps it

    void fetch() {
        if (keeper != nullptr)
            keeper->fetch(*this);
        else
            value = make();
    }
};

template <class T>
class Slotted {
  public:
    // `make` gives the prepared weight; it is kept only where the context has slots, and what it refers to
    // must then live as long as they.
    Slotted(const LoadContext& load, std::vector<std::string> tensors, std::function<T()> make)
        : slot_(std::make_shared<WeightSlot>()) {
        if (load.slots == nullptr) {
            slot_->value = std::make_shared<T>(make());
            return;
        }
        slot_->tensors = std::move(tensors);
        slot_->make = [make = std::move(make)] { return std::make_shared<T>(make()); };
        slot_->bytes_of = [](const void* value) { return static_cast<const T*>(value)->bytes(); };
        slot_->digest_of = [&backend = load.backend](const void* value) {
            return static_cast<const T*>(value)->digest(backend);
        };
        load.slots->push_back(slot_);
    }

    const T& operator*() const {
        if (!slot_->value) slot_->fetch();
        return *static_cast<const T*>(slot_->value.get());
    }
    const T* operator->() const { return &**this; }

  private:
    std::shared_ptr<WeightSlot> slot_;
};

}  // namespace sdxl
