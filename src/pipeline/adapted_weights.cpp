#include "pipeline/adapted_weights.h"

#include <algorithm>
#include <set>
#include <span>

#include "core/number_text.h"

namespace sdxl {
namespace {

constexpr AdapterPart kParts[] = {AdapterPart::kUnet, AdapterPart::kTextEncoder, AdapterPart::kTextEncoder2};

// The weight of an adapter for one tensor.
double weight_for(const AdapterUse& use, AdapterPart part, std::string_view tensor) {
    if (part == AdapterPart::kTextEncoder) return use.text_encoder;
    if (part == AdapterPart::kTextEncoder2) return use.text_encoder_2;
    double factor = 1;
    std::size_t longest = 0;
    for (const auto& [prefix, weight] : use.blocks) {
        const bool fits =
            tensor.starts_with(prefix) && (tensor.size() == prefix.size() || tensor[prefix.size()] == '.');
        if (!fits || prefix.size() < longest) continue;
        longest = prefix.size();
        factor = weight;
    }
    return use.unet * factor;
}

// The order of adapters does not matter to a person; to the last bit of a sum it does.
std::vector<AdapterUse> in_order(std::vector<AdapterUse> uses) {
    std::stable_sort(uses.begin(), uses.end(), [](const AdapterUse& a, const AdapterUse& b) {
        return a.adapter.hash < b.adapter.hash;
    });
    return uses;
}

std::string signature(const std::vector<AdapterUse>& uses) {
    std::string text;
    for (const AdapterUse& use : uses) {
        text += use.adapter.hash;
        for (const double weight : {use.unet, use.text_encoder, use.text_encoder_2})
            text += " " + shortest_text(weight);
        for (const auto& [prefix, weight] : use.blocks) text += " " + prefix + "=" + shortest_text(weight);
        text += "\n";
    }
    return text;
}

}  // namespace

AdaptedWeights::AdaptedWeights(Backend& backend, Checkpoint checkpoint)
    : backend_(backend), checkpoint_(std::move(checkpoint)) {}

WeightMap& AdaptedWeights::weights(AdapterPart part) {
    if (part == AdapterPart::kTextEncoder) return checkpoint_.text_encoder;
    return part == AdapterPart::kTextEncoder2 ? checkpoint_.text_encoder_2 : checkpoint_.unet;
}

const AdapterMatch& AdaptedWeights::match(const Adapter& adapter) {
    if (const auto found = matches_.find(adapter.file.get()); found != matches_.end())
        return found->second.match;
    std::array<std::set<std::string>, kAdapterParts> changeable;
    for (const AdapterPart part : kParts)
        for (const auto& slot : component(part).slots)
            changeable[static_cast<std::size_t>(part)].insert(slot->tensors.begin(), slot->tensors.end());
    const bool has_first = !checkpoint_.text_encoder.entries().empty();
    AdapterMatch match =
        match_adapter(*adapter.file, checkpoint_.unet, has_first ? &checkpoint_.text_encoder : nullptr,
                      checkpoint_.text_encoder_2, [&](AdapterPart part, const std::string& tensor) {
                          return changeable[static_cast<std::size_t>(part)].contains(tensor);
                      });
    return matches_.emplace(adapter.file.get(), Match{adapter.file, std::move(match)}).first->second.match;
}

void AdaptedWeights::apply(const std::vector<AdapterUse>& uses, std::uint64_t budget,
                           const CancelToken& cancel) {
    const std::vector<AdapterUse> ordered = in_order(uses);
    std::string wanted = signature(ordered);
    if (wanted == current_) return;
    // Until the end nothing is sure.
    current_ = "?";
    Counts counts;
    // The file has its own weights: theirs is the memory that a first adapter's take.
    const bool keep_own = !unused_.empty();
    for (const AdapterPart part : kParts) {
        Component& here = component(part);
        here.keys.resize(here.slots.size());
        for (std::size_t i = 0; i < here.slots.size(); ++i) {
            WeightSlot& slot = *here.slots[i];
            std::string key = key_of(part, slot, ordered);
            if (key == here.keys[i]) continue;
            cancel.check();
            WeightSlot::Value value = take_unused(slot, key);
            counts.kept += value ? 1 : 0;
            if (!value) value = make(part, slot, ordered);
            ++counts.changed;
            std::swap(slot.value, value);
            std::swap(here.keys[i], key);
            if (keep_own || !key.empty()) keep_unused(slot, std::move(key), std::move(value), budget);
        }
    }
    current_ = std::move(wanted);
    // Each keeps its file open: what is not in use is forgotten where they have become many.
    constexpr std::size_t kMostMatches = 32;
    std::erase_if(matches_, [&, many = matches_.size() > kMostMatches](const auto& match) {
        return many && std::none_of(ordered.begin(), ordered.end(), [&](const AdapterUse& use) {
                   return use.adapter.file.get() == match.first;
               });
    });
    if (counts.changed == 0) return;
    counts_ = counts;
    scratch_.clear();
    backend_.release_cached_memory();
}

std::uint64_t AdaptedWeights::digest() const {
    std::vector<std::uint64_t> digests;
    for (const Component& component : components_)
        for (const auto& slot : component.slots) digests.push_back(slot->digest_of(slot->value.get()));
    return digest_of(std::as_bytes(std::span(digests)));
}

std::string AdaptedWeights::key_of(AdapterPart part, const WeightSlot& slot,
                                   const std::vector<AdapterUse>& uses) {
    std::string key;
    for (const AdapterUse& use : uses) {
        const AdapterDeltas& deltas = match(use.adapter).of(part);
        for (const auto& tensor : slot.tensors) {
            const double weight = deltas.contains(tensor) ? weight_for(use, part, tensor) : 0;
            if (weight != 0) key += use.adapter.hash + "*" + shortest_text(weight) + " " + tensor + "\n";
        }
    }
    return key;
}

namespace {

// Plain low-rank changes, added while the rows are packed: the tensor is never whole in float32.
class LowRankEdit final : public RowEdit {
  public:
    LowRankEdit(Backend& backend, std::vector<LowRankFactors> factors)
        : backend_(backend), factors_(std::move(factors)) {}

    void apply(std::int64_t first, std::int64_t count, std::span<float> rows) const override {
        for (const LowRankFactors& factor : factors_) {
            const auto rank = static_cast<std::size_t>(factor.rank);
            const auto up = std::span(factor.up).subspan(static_cast<std::size_t>(first) * rank,
                                                         static_cast<std::size_t>(count) * rank);
            backend_.add_product(rows, up, factor.down, factor.rank, factor.scale);
        }
    }

  private:
    Backend& backend_;
    std::vector<LowRankFactors> factors_;
};

MatrixProduct product_of(Backend& backend) {
    return [&backend](const float* a, const float* b, float* c, std::int64_t rows, std::int64_t inner,
                      std::int64_t columns) {
        const auto size = [](std::int64_t x, std::int64_t y) { return static_cast<std::size_t>(x * y); };
        std::fill_n(c, size(rows, columns), 0.F);
        backend.add_product({c, size(rows, columns)}, {a, size(rows, inner)}, {b, size(inner, columns)},
                            inner, 1);
    };
}

}  // namespace

WeightSlot::Value AdaptedWeights::make(AdapterPart part, const WeightSlot& slot,
                                       const std::vector<AdapterUse>& uses) {
    // The map must not be left with what stands in for tensors, whatever happens.
    struct Clear {
        WeightMap& map;
        ~Clear() { map.clear_stand_ins(); }
    };
    WeightMap& map = weights(part);
    const Clear clear{map};
    std::vector<std::unique_ptr<LowRankEdit>> edits;
    scratch_.resize(std::max(scratch_.size(), slot.tensors.size()));
    for (std::size_t i = 0; i < slot.tensors.size(); ++i) {
        const std::string& tensor = slot.tensors[i];
        const auto changes = changes_of(part, tensor, uses);
        if (changes.empty()) continue;
        HostView view = map.find(tensor)->view;
        if (std::all_of(changes.begin(), changes.end(),
                        [](const Weighed& change) { return change.delta->low_rank(); })) {
            std::vector<LowRankFactors> factors;
            for (const auto& [delta, weight] : changes) {
                factors.push_back(delta->factors(product_of(backend_)));
                factors.back().scale *= static_cast<float>(weight);
            }
            edits.push_back(std::make_unique<LowRankEdit>(backend_, std::move(factors)));
            view.edit = edits.back().get();
        } else {
            change(view, changes, scratch_[i]);
            view = {reinterpret_cast<const std::byte*>(scratch_[i].data()), DType::kF32, view.shape,
                    view.name};
        }
        map.stand_in(tensor, std::move(view));
    }
    return slot.make();
}

std::vector<AdaptedWeights::Weighed> AdaptedWeights::changes_of(AdapterPart part, const std::string& tensor,
                                                                const std::vector<AdapterUse>& uses) {
    std::vector<Weighed> changes;
    for (const AdapterUse& use : uses) {
        const AdapterDeltas& deltas = match(use.adapter).of(part);
        const auto found = deltas.find(tensor);
        const double weight = found == deltas.end() ? 0 : weight_for(use, part, tensor);
        if (weight != 0) changes.push_back({&found->second, weight});
    }
    return changes;
}

void AdaptedWeights::change(const HostView& view, const std::vector<Weighed>& changes,
                            std::vector<float>& values) {
    values.resize(static_cast<std::size_t>(view.shape.numel()));
    backend_.widen(view, values);
    std::vector<float> original;  // DoRA is of the model's own weight
    const auto is_dora = [](const Weighed& one) { return one.delta->dora(); };
    if (changes.size() > 1 && std::any_of(changes.begin(), changes.end(), is_dora)) original = values;
    for (const auto& [delta, weight] : changes)
        delta->apply(values, static_cast<float>(weight), original, product_of(backend_));
}

WeightSlot::Value AdaptedWeights::take_unused(const WeightSlot& slot, const std::string& key) {
    const auto found = unused_by_key_.find({&slot, key});
    if (found == unused_by_key_.end()) return nullptr;
    WeightSlot::Value value = found->second->value;
    forget(found->second);
    return value;
}

void AdaptedWeights::keep_unused(const WeightSlot& slot, std::string key, WeightSlot::Value value,
                                 std::uint64_t budget) {
    const std::uint64_t bytes = slot.bytes_of(value.get());
    unused_.push_front({&slot, std::move(key), std::move(value), bytes});
    unused_by_key_[{&slot, unused_.front().key}] = unused_.begin();
    unused_bytes_ += bytes;
    shrink(budget);
}

void AdaptedWeights::forget(UnusedList::iterator unused) {
    unused_by_key_.erase({unused->slot, unused->key});
    unused_bytes_ -= unused->bytes;
    unused_.erase(unused);
}

void AdaptedWeights::shrink(std::uint64_t budget) {
    while (unused_bytes_ > budget && !unused_.empty()) forget(std::prev(unused_.end()));
}

}  // namespace sdxl
