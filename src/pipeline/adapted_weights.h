// The weights of a loaded model under adapters (LoRA and its kin), exact in and exact out.
//
// What an adapter touches is made again from the mapped file and the sum of the changes, in float32, and then
// prepared as the loader prepares it; taking it away brings back the weight that the loader had made, or the
// same made again. What is not in use is kept, within a budget, by what it was made of (adapters' content and
// weights), so switching back costs nothing. New weights take the memory of those that make room for them.
//
// Owns the model's files. Threads: one at a time, never beside a forward of the model. Errors: Failure; after
// one each weight is whole, old or new, and the next apply() makes all of them what it is asked for.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cancel_token.h"
#include "ops/context.h"
#include "ops/slot.h"
#include "weights/adapter_file.h"
#include "weights/adapter_match.h"
#include "weights/checkpoint.h"

namespace sdxl {

// An adapter's file, read once for all models.
struct Adapter {
    std::shared_ptr<const AdapterFile> file;
    std::string hash;        // of its content
    std::string stamp = {};  // of the file when it was read: it is mapped, and must not change
};

// Weights of parts of the UNet, by the beginning of their tensors' names ("down_blocks.1"): the longest one
// that fits counts, times the adapter's own weight.
using BlockWeights = std::vector<std::pair<std::string, double>>;

struct AdapterUse {
    Adapter adapter;
    double unet = 1, text_encoder = 1, text_encoder_2 = 1;
    BlockWeights blocks = {};
};

class AdaptedWeights {
  public:
    AdaptedWeights(Backend& backend, Checkpoint checkpoint);

    Checkpoint& checkpoint() { return checkpoint_; }
    // For the constructors of a component's modules.
    WeightSlots* slots(AdapterPart part) { return &component(part).slots; }

    // Which tensors of this model the adapter changes; kept while it is in use and, with a
    // bound, after that. Fails as match_adapter.
    const AdapterMatch& match(const Adapter& adapter);

    // Makes the weights those of the file with these adapters, and no others. At most `budget` bytes of
    // weights that are not in use are kept. What is as wanted already costs nothing.
    void apply(const std::vector<AdapterUse>& uses, std::uint64_t budget, const CancelToken& cancel);
    // Of all weights as they are in use: equal before an adapter came and after it went.
    std::uint64_t digest() const;
    // Forgets weights that are not in use.
    void drop_unused() { shrink(0); }
    std::uint64_t unused_bytes() const { return unused_bytes_; }

    // How many weights the last apply() that had anything to do changed, and how many of these it had kept.
    struct Counts {
        std::size_t changed = 0;
        std::size_t kept = 0;
    };
    const Counts& counts() const { return counts_; }

  private:
    struct Component {
        WeightSlots slots;
        std::vector<std::string> keys;  // what each slot's value was made of; "" is the file alone
    };
    struct Unused {
        const WeightSlot* slot;
        std::string key;
        WeightSlot::Value value;
        std::uint64_t bytes;
    };
    using UnusedList = std::list<Unused>;
    Component& component(AdapterPart part) { return components_[static_cast<std::size_t>(part)]; }
    WeightMap& weights(AdapterPart part);
    std::string key_of(AdapterPart part, const WeightSlot& slot, const std::vector<AdapterUse>& uses);
    WeightSlot::Value make(AdapterPart part, const WeightSlot& slot, const std::vector<AdapterUse>& uses);
    // The changes of one tensor that are not of weight 0.
    struct Weighed {
        const AdapterDelta* delta;
        double weight;
    };
    std::vector<Weighed> changes_of(AdapterPart part, const std::string& tensor,
                                    const std::vector<AdapterUse>& uses);
    // The tensor with these changes.
    void change(const HostView& view, const std::vector<Weighed>& changes, std::vector<float>& values);
    WeightSlot::Value take_unused(const WeightSlot& slot, const std::string& key);
    void keep_unused(const WeightSlot& slot, std::string key, WeightSlot::Value value, std::uint64_t budget);
    void forget(UnusedList::iterator unused);
    void shrink(std::uint64_t budget);

    Backend& backend_;
    Checkpoint checkpoint_;
    std::array<Component, kAdapterParts> components_;
    struct Match {
        std::shared_ptr<const AdapterFile> file;
        AdapterMatch match;
    };
    std::map<const AdapterFile*, Match> matches_;  // with the file whose bytes the deltas are
    UnusedList unused_;                            // the last used first
    std::map<std::pair<const WeightSlot*, std::string>, UnusedList::iterator> unused_by_key_;
    std::uint64_t unused_bytes_ = 0;
    Counts counts_;
    std::vector<std::vector<float>>
        scratch_;          // for whole tensors; memory of it is given back after an apply()
    std::string current_;  // what apply() was last asked for
};

}  // namespace sdxl
