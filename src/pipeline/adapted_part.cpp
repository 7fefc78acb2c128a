#include "pipeline/adapted_part.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "core/number_text.h"

namespace sdxl {
namespace {

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

AdaptedPart::AdaptedPart(Backend& backend, AdapterPart part, WeightMap weights)
    : backend_(backend), part_(part), weights_(std::move(weights)) {}

void AdaptedPart::built() {
    keys_.resize(placement_.all().size());
    placement_.keep(weights_, [this](WeightSlot& slot, std::size_t place) {
        keys_[place] = key_of(slot);
        auto value = make(slot);
        scratch_.clear();
        return value;
    });
}

AdaptedPart::Counts AdaptedPart::apply(const std::vector<MatchedUse>& uses, const std::string& signature,
                                       std::uint64_t budget, const CancelToken& cancel) {
    Counts counts;
    if (signature == current_) return counts;
    // Until the end nothing is sure.
    current_ = "?";
    uses_ = uses;
    // The file has its own weights: theirs is the memory that a first adapter's take.
    const bool keep_own = !unused_.empty();
    const WeightSlots& slots = placement_.all();
    for (std::size_t i = 0; i < slots.size(); ++i) {
        WeightSlot& slot = *slots[i];
        if (!slot.value) continue;  // it is made of these when it is used
        std::string key = key_of(slot);
        if (key == keys_[i]) continue;
        cancel.check();
        WeightSlot::Value value = take_unused(slot, key);
        counts.kept += value ? 1 : 0;
        if (!value) value = make(slot);
        ++counts.changed;
        value = placement_.exchange(slot, std::move(value));
        std::swap(keys_[i], key);
        if (keep_own || !key.empty()) keep_unused(slot, std::move(key), std::move(value), budget);
    }
    current_ = signature;
    scratch_.clear();
    return counts;
}

void AdaptedPart::append_digests(std::vector<std::uint64_t>& digests) const {
    for (const auto& slot : placement_.all()) {
        if (!slot->value) slot->fetch();
        digests.push_back(slot->digest_of(slot->value.get()));
    }
}

std::string AdaptedPart::key_of(const WeightSlot& slot) const {
    std::string key;
    for (const MatchedUse& matched : uses_) {
        const AdapterDeltas& deltas = matched.match->of(part_);
        for (const auto& tensor : slot.tensors) {
            const double weight = deltas.contains(tensor) ? weight_for(matched.use, part_, tensor) : 0;
            if (weight != 0)
                key += matched.use.adapter.hash + "*" + shortest_text(weight) + " " + tensor + "\n";
        }
    }
    return key;
}

WeightSlot::Value AdaptedPart::make(const WeightSlot& slot) {
    // The map must not be left with what stands in for tensors, whatever happens.
    struct Clear {
        WeightMap& map;
        ~Clear() { map.clear_stand_ins(); }
    };
    const Clear clear{weights_};
    std::vector<std::unique_ptr<LowRankEdit>> edits;
    scratch_.resize(std::max(scratch_.size(), slot.tensors.size()));
    for (std::size_t i = 0; i < slot.tensors.size(); ++i) {
        const std::string& tensor = slot.tensors[i];
        const auto changes = changes_of(tensor);
        if (changes.empty()) continue;
        HostView view = weights_.find(tensor)->view;
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
        weights_.stand_in(tensor, std::move(view));
    }
    return slot.make();
}

std::vector<AdaptedPart::Weighed> AdaptedPart::changes_of(const std::string& tensor) const {
    std::vector<Weighed> changes;
    for (const MatchedUse& matched : uses_) {
        const AdapterDeltas& deltas = matched.match->of(part_);
        const auto found = deltas.find(tensor);
        const double weight = found == deltas.end() ? 0 : weight_for(matched.use, part_, tensor);
        if (weight != 0) changes.push_back({&found->second, weight});
    }
    return changes;
}

void AdaptedPart::change(const HostView& view, const std::vector<Weighed>& changes,
                         std::vector<float>& values) {
    values.resize(static_cast<std::size_t>(view.shape.numel()));
    backend_.widen(view, values);
    std::vector<float> original;  // DoRA is of the model's own weight
    const auto is_dora = [](const Weighed& one) { return one.delta->dora(); };
    if (changes.size() > 1 && std::any_of(changes.begin(), changes.end(), is_dora)) original = values;
    for (const auto& [delta, weight] : changes)
        delta->apply(values, static_cast<float>(weight), original, product_of(backend_));
}

WeightSlot::Value AdaptedPart::take_unused(const WeightSlot& slot, const std::string& key) {
    const auto found = unused_by_key_.find({&slot, key});
    if (found == unused_by_key_.end()) return nullptr;
    WeightSlot::Value value = found->second->value;
    forget(found->second);
    return value;
}

void AdaptedPart::keep_unused(const WeightSlot& slot, std::string key, WeightSlot::Value value,
                              std::uint64_t budget) {
    const std::uint64_t bytes = slot.bytes_of(value.get());
    unused_.push_front({&slot, std::move(key), std::move(value), bytes});
    unused_by_key_[{&slot, unused_.front().key}] = unused_.begin();
    unused_bytes_ += bytes;
    shrink(budget);
}

void AdaptedPart::forget(UnusedList::iterator unused) {
    unused_by_key_.erase({unused->slot, unused->key});
    unused_bytes_ -= unused->bytes;
    unused_.erase(unused);
}

void AdaptedPart::shrink(std::uint64_t budget) {
    while (unused_bytes_ > budget && !unused_.empty()) forget(std::prev(unused_.end()));
}

}  // namespace sdxl
