#include "pipeline/adapted_weights.h"

#include <algorithm>
#include <span>

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
        const bool fits = tensor.starts_with(prefix) &&
                          (tensor.size() == prefix.size() || tensor[prefix.size()] == '.');
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
            text += " " + std::to_string(weight);
        for (const auto& [prefix, weight] : use.blocks) text += " " + prefix + "=" + std::to_string(weight);
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
    if (const auto found = matches_.find(adapter.hash); found != matches_.end()) return found->second;
    const bool has_first = !checkpoint_.text_encoder.entries().empty();
    AdapterMatch match =
        match_adapter(*adapter.file, checkpoint_.unet, has_first ? &checkpoint_.text_encoder : nullptr,
                      checkpoint_.text_encoder_2);
    return matches_.emplace(adapter.hash, std::move(match)).first->second;
}

void AdaptedWeights::apply(const std::vector<AdapterUse>& uses, std::uint64_t budget,
                           const CancelToken& cancel) {
    const std::vector<AdapterUse> ordered = in_order(uses);
    std::string wanted = signature(ordered);
    if (wanted == current_) return;
    std::vector<Change> changes;
    std::size_t kept = 0;
    for (const AdapterPart part : kParts) {
        Component& here = component(part);
        here.keys.resize(here.slots.size());
        for (std::size_t i = 0; i < here.slots.size(); ++i) {
            const WeightSlot& slot = *here.slots[i];
            std::string key = key_of(part, slot, ordered);
            if (key == here.keys[i]) continue;
            cancel.check();
            WeightSlot::Value value = take_unused(slot, key);
            kept += value ? 1 : 0;
            if (!value) value = make(part, slot, ordered);
            changes.push_back({part, i, std::move(key), std::move(value)});
        }
    }
    current_ = std::move(wanted);
    counts_ = {changes.size(), kept};
    for (Change& change : changes) {
        Component& here = component(change.part);
        WeightSlot& slot = *here.slots[change.index];
        std::swap(slot.value, change.value);
        std::swap(here.keys[change.index], change.key);
        keep_unused(slot, std::move(change.key), std::move(change.value));
    }
    shrink(budget);
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
            if (weight != 0) key += use.adapter.hash + "*" + std::to_string(weight) + " " + tensor + "\n";
        }
    }
    return key;
}

WeightSlot::Value AdaptedWeights::make(AdapterPart part, const WeightSlot& slot,
                                       const std::vector<AdapterUse>& uses) {
    // The map must not be left with what stands in for tensors, whatever happens.
    struct Clear {
        WeightMap& map;
        ~Clear() { map.clear_stand_ins(); }
    };
    WeightMap& map = weights(part);
    const Clear clear{map};
    std::vector<std::vector<float>> values(slot.tensors.size());
    for (std::size_t i = 0; i < slot.tensors.size(); ++i) {
        const std::string& tensor = slot.tensors[i];
        if (!changed_tensor(part, tensor, uses, values[i])) continue;
        const HostView& own = map.find(tensor)->view;
        map.stand_in(tensor, {reinterpret_cast<const std::byte*>(values[i].data()), DType::kF32, own.shape,
                              own.name});
    }
    return slot.make();
}

bool AdaptedWeights::changed_tensor(AdapterPart part, const std::string& tensor,
                                    const std::vector<AdapterUse>& uses, std::vector<float>& values) {
    const MatrixProduct product = [this](const float* a, const float* b, float* c, std::int64_t rows,
                                         std::int64_t inner, std::int64_t columns) {
        const auto size = [](std::int64_t x, std::int64_t y) { return static_cast<std::size_t>(x * y); };
        std::fill_n(c, size(rows, columns), 0.F);
        backend_.add_product({c, size(rows, columns)}, {a, size(rows, inner)}, {b, size(inner, columns)}, inner,
                             1);
    };
    std::vector<float> original;  // only where a change needs it
    for (const AdapterUse& use : uses) {
        const AdapterDeltas& deltas = match(use.adapter).of(part);
        const auto found = deltas.find(tensor);
        const double weight = found == deltas.end() ? 0 : weight_for(use, part, tensor);
        if (weight == 0) continue;
        const AdapterDelta& delta = found->second;
        const bool first = values.empty();
        if (first) {
            const HostView& view = weights(part).find(tensor)->view;
            values.resize(static_cast<std::size_t>(view.shape.numel()));
            backend_.widen(view, values);
        }
        if (delta.low_rank()) {
            const LowRankFactors factors = delta.factors(product);
            backend_.add_product(values, factors.up, factors.down, factors.rank,
                                 static_cast<float>(weight * static_cast<double>(factors.scale)));
            continue;
        }
        if (delta.dora() && !first && original.empty()) {
            original.resize(values.size());
            backend_.widen(weights(part).find(tensor)->view, original);
        }
        delta.apply(values, static_cast<float>(weight), first ? std::span<const float>{} : original, product);
    }
    return !values.empty();
}

WeightSlot::Value AdaptedWeights::take_unused(const WeightSlot& slot, const std::string& key) {
    // It stays in the list until the exchange: should that fail, nothing is lost.
    const auto found = unused_by_key_.find({&slot, key});
    return found == unused_by_key_.end() ? nullptr : found->second->value;
}

void AdaptedWeights::keep_unused(const WeightSlot& slot, std::string key, WeightSlot::Value value) {
    const std::uint64_t bytes = slot.bytes_of(value.get());
    unused_.push_front({&slot, std::move(key), std::move(value), bytes});
    unused_by_key_[{&slot, unused_.front().key}] = unused_.begin();
    unused_bytes_ += bytes;
}

void AdaptedWeights::shrink(std::uint64_t budget) {
    const auto forget = [this](UnusedList::iterator at) {
        unused_by_key_.erase({at->slot, at->key});
        unused_bytes_ -= at->bytes;
        return unused_.erase(at);
    };
    for (auto at = unused_.begin(); at != unused_.end();)
        at = at->slot->value == at->value ? forget(at) : std::next(at);  // in use by now
    while (unused_bytes_ > budget && !unused_.empty()) forget(std::prev(unused_.end()));
}

}  // namespace sdxl
