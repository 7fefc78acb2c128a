// One component's weights under adapters (LoRA and its kin), exact in and exact out.
//
// What an adapter touches is made again from the mapped file and the sum of the changes, in float32, and then
// prepared as the loader prepares it; taking it away brings back the weight that the loader had made, or the
// same made again. What is not in use is kept, within a budget, by what it was made of (adapters' content and
// weights), so switching back costs nothing. New weights take the memory of those that make room for them.
//
// Owns the component's tensors, whose files stay mapped, and the placement of its weights: what is not in
// memory is made with the adapters that are in use by then. Threads: one at a time, never beside a forward.
// Errors: Failure; after one each weight is whole, old or new, and the next apply() makes all of them what it
// is asked for.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cancel_token.h"
#include "ops/slot.h"
#include "pipeline/weight_placement.h"
#include "weights/adapter_file.h"
#include "weights/adapter_match.h"
#include "weights/weight_scope.h"

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

// With what it changes.
struct MatchedUse {
    AdapterUse use;
    std::shared_ptr<const AdapterMatch> match;
};

class AdaptedPart {
  public:
    AdaptedPart(Backend& backend, AdapterPart part, WeightMap weights);
    AdaptedPart(const AdaptedPart&) = delete;
    AdaptedPart& operator=(const AdaptedPart&) = delete;

    const WeightMap& weights() const { return weights_; }
    WeightPlacement& placement() { return placement_; }
    const WeightPlacement& placement() const { return placement_; }
    // All modules are there.
    void built();

    // How many weights an apply() that had anything to do changed, and how many of these it had kept.
    struct Counts {
        std::size_t changed = 0;
        std::size_t kept = 0;
    };
    // Makes the weights those of the file with these adapters, and no others; `signature` tells one such list
    // from another. At most `budget` bytes of weights that are not in use are kept. What is as wanted already
    // costs nothing.
    Counts apply(const std::vector<MatchedUse>& uses, const std::string& signature, std::uint64_t budget,
                 const CancelToken& cancel);

    // Forgets weights that are not in use.
    void drop_unused() { shrink(0); }
    std::uint64_t unused_bytes() const { return unused_bytes_; }
    // Of each weight as it is in use.
    void append_digests(std::vector<std::uint64_t>& digests) const;

  private:
    struct Unused {
        const WeightSlot* slot;
        std::string key;
        WeightSlot::Value value;
        std::uint64_t bytes;
    };
    using UnusedList = std::list<Unused>;
    std::string key_of(const WeightSlot& slot) const;
    WeightSlot::Value make(const WeightSlot& slot);
    // The changes of one tensor that are not of weight 0.
    struct Weighed {
        const AdapterDelta* delta;
        double weight;
    };
    std::vector<Weighed> changes_of(const std::string& tensor) const;
    // The tensor with these changes.
    void change(const HostView& view, const std::vector<Weighed>& changes, std::vector<float>& values);
    WeightSlot::Value take_unused(const WeightSlot& slot, const std::string& key);
    void keep_unused(const WeightSlot& slot, std::string key, WeightSlot::Value value, std::uint64_t budget);
    void forget(UnusedList::iterator unused);
    void shrink(std::uint64_t budget);

    Backend& backend_;
    AdapterPart part_;
    WeightMap weights_;
    WeightPlacement placement_;
    std::vector<std::string> keys_;  // what each slot's value is made of; "" is the file alone
    std::vector<MatchedUse> uses_;   // what is made is made with them
    std::string current_;            // the signature of what apply() was last asked for
    UnusedList unused_;              // the last used first
    std::map<std::pair<const WeightSlot*, std::string>, UnusedList::iterator> unused_by_key_;
    std::uint64_t unused_bytes_ = 0;
    std::vector<std::vector<float>> scratch_;  // for whole tensors; its memory is given back after use
};

}  // namespace sdxl
