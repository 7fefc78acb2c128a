#include "text/byte_pair.h"

#include <functional>
#include <queue>

#include "text/byte_symbols.h"

namespace sdxl {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
}

}  // namespace

BytePairMerger::BytePairMerger(const Vocabulary& vocabulary) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
        inside_[byte] = intern(vocabulary, byte_symbols()[byte]);
        at_end_[byte] = intern(vocabulary, byte_symbols()[byte] + std::string(kEndOfWord));
    }
    std::int32_t rank = 0;
    for (const auto& merge : vocabulary.merges()) {
        const Symbol left = intern(vocabulary, merge.left);
        const Symbol right = intern(vocabulary, merge.right);
        const Symbol merged = intern(vocabulary, merge.left + merge.right);
        rules_.insert_or_assign(pair_key(left, right), Rule{rank++, merged});
    }
}

BytePairMerger::Symbol BytePairMerger::intern(const Vocabulary& vocabulary, const std::string& text) {
    const auto [entry, is_new] = symbols_.try_emplace(text, static_cast<Symbol>(ids_.size()));
    if (is_new) ids_.push_back(vocabulary.id(text));
    return entry->second;
}

std::optional<BytePairMerger::Candidate> BytePairMerger::candidate(const std::vector<Node>& nodes,
                                                                   std::int32_t at) const {
    if (at < 0 || nodes[static_cast<std::size_t>(at)].next < 0) return std::nullopt;
    const Node& left = nodes[static_cast<std::size_t>(at)];
    const Node& right = nodes[static_cast<std::size_t>(left.next)];
    const auto rule = rules_.find(pair_key(left.symbol, right.symbol));
    if (rule == rules_.end()) return std::nullopt;
    return Candidate{rule->second.rank, at, left.symbol, right.symbol};
}

void BytePairMerger::merge_all(std::vector<Node>& nodes) const {
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> waiting;
    const auto offer = [&](std::int32_t at) {
        if (const auto found = candidate(nodes, at)) waiting.push(*found);
    };
    for (std::size_t at = 0; at < nodes.size(); ++at) offer(static_cast<std::int32_t>(at));
    std::vector<std::int32_t> changed;
    while (!waiting.empty()) {
        // All occurrences of one pair go in one round, from left to right; what they give waits for the next
        // round, even where it would rank lower.
        const std::int32_t rank = waiting.top().rank;
        changed.clear();
        while (!waiting.empty() && waiting.top().rank == rank) {
            const Candidate pair = waiting.top();
            waiting.pop();
            Node& left = nodes[static_cast<std::size_t>(pair.at)];
            if (left.symbol != pair.left || left.next < 0) continue;
            Node& right = nodes[static_cast<std::size_t>(left.next)];
            if (right.symbol != pair.right) continue;
            left.symbol = rules_.at(pair_key(pair.left, pair.right)).merged;
            right.symbol = -1;
            left.next = right.next;
            if (left.next >= 0) nodes[static_cast<std::size_t>(left.next)].previous = pair.at;
            changed.push_back(pair.at);
        }
        for (const std::int32_t at : changed) {
            if (nodes[static_cast<std::size_t>(at)].symbol < 0) continue;
            offer(nodes[static_cast<std::size_t>(at)].previous);
            offer(at);
        }
    }
}

std::vector<std::optional<std::int32_t>> BytePairMerger::merge(std::span<const std::uint8_t> word) const {
    std::vector<Node> nodes;
    nodes.reserve(word.size());
    for (std::size_t i = 0; i < word.size(); ++i) {
        const bool last = i + 1 == word.size();
        const auto index = static_cast<std::int32_t>(i);
        nodes.push_back({last ? at_end_[word[i]] : inside_[word[i]], index - 1, last ? -1 : index + 1});
    }
    merge_all(nodes);
    std::vector<std::optional<std::int32_t>> pieces;
    for (const Node& node : nodes)
        if (node.symbol >= 0) pieces.push_back(ids_[static_cast<std::size_t>(node.symbol)]);
    return pieces;
}

}  // namespace sdxl
