#include "pipeline/adapted_weights.h"

#include <algorithm>
#include <set>
#include <span>

#include "core/number_text.h"

namespace sdxl {
namespace {

constexpr AdapterPart kParts[] = {AdapterPart::kUnet, AdapterPart::kTextEncoder, AdapterPart::kTextEncoder2};

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

AdaptedWeights::AdaptedWeights(Backend& backend, Parts parts) : backend_(backend), parts_(std::move(parts)) {}

const AdapterMatch& AdaptedWeights::match(const Adapter& adapter) {
    return *match_of(adapter);
}

std::shared_ptr<const AdapterMatch> AdaptedWeights::match_of(const Adapter& adapter) {
    if (const auto found = matches_.find(adapter.file.get()); found != matches_.end())
        return found->second.match;
    std::array<std::set<std::string>, kAdapterParts> changeable;
    for (const AdapterPart each : kParts)
        if (const AdaptedPart* here = part(each))
            for (const auto& slot : here->placement().all())
                changeable[static_cast<std::size_t>(each)].insert(slot->tensors.begin(), slot->tensors.end());
    const AdaptedPart* first = part(AdapterPart::kTextEncoder);
    auto match = std::make_shared<const AdapterMatch>(match_adapter(
        *adapter.file, part(AdapterPart::kUnet)->weights(), first != nullptr ? &first->weights() : nullptr,
        part(AdapterPart::kTextEncoder2)->weights(), [&](AdapterPart each, const auto& tensor) {
            return changeable[static_cast<std::size_t>(each)].contains(tensor);
        }));
    return matches_.emplace(adapter.file.get(), Match{adapter.file, std::move(match)}).first->second.match;
}

void AdaptedWeights::apply(const std::vector<AdapterUse>& uses, std::uint64_t budget,
                           const CancelToken& cancel) {
    const std::vector<AdapterUse> ordered = in_order(uses);
    const std::string wanted = signature(ordered);
    std::vector<MatchedUse> matched;
    matched.reserve(ordered.size());
    for (const AdapterUse& use : ordered) matched.push_back({use, match_of(use.adapter)});
    AdaptedPart::Counts counts;
    std::uint64_t left = budget;
    for (const AdapterPart each : kParts) {
        AdaptedPart* const here = part(each);
        if (here == nullptr) continue;
        const auto changed = here->apply(matched, wanted, left, cancel);
        left -= std::min(left, here->unused_bytes());
        counts.changed += changed.changed;
        counts.kept += changed.kept;
    }
    // Each keeps its file open: what is not in use is forgotten where they have become many.
    constexpr std::size_t kMostMatches = 32;
    std::erase_if(matches_, [&, many = matches_.size() > kMostMatches](const auto& match) {
        return many && std::none_of(ordered.begin(), ordered.end(), [&](const AdapterUse& use) {
                   return use.adapter.file.get() == match.first;
               });
    });
    if (counts.changed == 0) return;
    counts_ = counts;
    backend_.release_cached_memory();
}

std::uint64_t AdaptedWeights::digest() const {
    std::vector<std::uint64_t> digests;
    for (const auto& each : parts_)
        if (each) each->append_digests(digests);
    return digest_of(std::as_bytes(std::span(digests)));
}

void AdaptedWeights::drop_unused() {
    for (const auto& each : parts_)
        if (each) each->drop_unused();
}

std::uint64_t AdaptedWeights::unused_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& each : parts_)
        if (each) sum += each->unused_bytes();
    return sum;
}

}  // namespace sdxl
