// Byte-pair merging of one word: which vocabulary entries it falls into.
//
// The result is that of the plain algorithm (repeat: find the lowest-ranked neighbouring pair, merge all of
// its occurrences from left to right), which is quadratic in the word's length. Here the pairs wait in a heap
// and the symbols in a linked list, so that a word of n symbols takes O(n log n). Source: Sennrich et al.
// 2016 (https://arxiv.org/abs/1508.07909), with the ranks of OpenAI CLIP `simple_tokenizer`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/vocabulary.h"

namespace sdxl {

// Immutable; any threads may call `merge`.
class BytePairMerger {
  public:
    explicit BytePairMerger(const Vocabulary& vocabulary);

    // Ids of the pieces of a word given as bytes; nullopt for a piece that the vocabulary does not have. An
    // empty word has no pieces.
    std::vector<std::optional<std::int32_t>> merge(std::span<const std::uint8_t> word) const;

  private:
    using Symbol = std::int32_t;
    struct Rule {
        std::int32_t rank;
        Symbol merged;
    };
    struct Node {
        Symbol symbol;  // -1 once it was merged into its left neighbour
        std::int32_t previous, next;
    };
    struct Candidate {
        std::int32_t rank, at;
        Symbol left, right;
        bool operator>(const Candidate& other) const {
            return rank != other.rank ? rank > other.rank : at > other.at;
        }
    };

    Symbol intern(const Vocabulary& vocabulary, const std::string& text);
    std::optional<Candidate> candidate(const std::vector<Node>& nodes, std::int32_t at) const;
    void merge_all(std::vector<Node>& nodes) const;

    std::unordered_map<std::string, Symbol> symbols_;
    std::vector<std::optional<std::int32_t>> ids_;  // per symbol
    std::unordered_map<std::uint64_t, Rule> rules_;
    std::array<Symbol, 256> inside_{}, at_end_{};  // of a byte inside a word, and of one that ends it
};

}  // namespace sdxl
