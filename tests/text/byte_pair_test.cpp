#include "text/byte_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>

#include "text/byte_symbols.h"

namespace sdxl {
namespace {

using Pieces = std::vector<std::string>;
using Merges = std::vector<Vocabulary::Merge>;

// The plain algorithm, as the papers give it: the oracle.
Pieces merge_plainly(const std::string& word, const Merges& merges) {
    std::map<std::pair<std::string, std::string>, std::size_t> ranks;
    for (std::size_t i = 0; i < merges.size(); ++i) ranks[{merges[i].left, merges[i].right}] = i;
    Pieces pieces;
    for (const char c : word) pieces.emplace_back(1, c);
    if (!pieces.empty()) pieces.back() += kEndOfWord;
    while (true) {
        auto best = ranks.end();
        for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
            const auto found = ranks.find({pieces[i], pieces[i + 1]});
            if (found != ranks.end() && (best == ranks.end() || found->second < best->second)) best = found;
        }
        if (best == ranks.end()) return pieces;
        Pieces next;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (i + 1 < pieces.size() && best->first == std::pair(pieces[i], pieces[i + 1])) {
                next.push_back(pieces[i] + pieces[i + 1]);
                ++i;
            } else {
                next.push_back(pieces[i]);
            }
        }
        pieces = std::move(next);
    }
}

// A vocabulary that has an id for every symbol that its merges can give.
class Merging {
  public:
    explicit Merging(Merges merges) : merges_(std::move(merges)) {
        std::unordered_map<std::string, std::int32_t> ids;
        const auto add = [&](const std::string& token) {
            if (ids.emplace(token, static_cast<std::int32_t>(names_.size())).second) names_.push_back(token);
        };
        for (const auto& symbol : byte_symbols()) add(symbol), add(symbol + std::string(kEndOfWord));
        for (const auto& merge : merges_) add(merge.left + merge.right);
        merger_.emplace(Vocabulary(ids, merges_));
    }

    Pieces merge(const std::string& word) const {
        Pieces pieces;
        const std::vector<std::uint8_t> bytes(word.begin(), word.end());
        for (const auto& id : merger_->merge(bytes))
            pieces.push_back(names_.at(static_cast<std::size_t>(id.value())));
        return pieces;
    }
    Pieces merge_plainly(const std::string& word) const { return sdxl::merge_plainly(word, merges_); }

  private:
    Merges merges_;
    std::vector<std::string> names_;
    std::optional<BytePairMerger> merger_;
};

TEST(BytePair, MergesTheLowestRankFirst) {
    const Merging merging({{"b", "c</w>"}, {"a", "b"}});
    EXPECT_EQ(merging.merge("abc"), (Pieces{"a", "bc</w>"}));
    EXPECT_EQ(merging.merge("ab"), (Pieces{"a", "b</w>"}));
    EXPECT_EQ(merging.merge(""), Pieces{});
}

TEST(BytePair, RepeatedSymbolsPairUpFromTheLeft) {
    const Merging merging(Merges{{"a", "a"}});
    EXPECT_EQ(merging.merge("aaaab"), (Pieces{"aa", "aa", "b</w>"}));
    EXPECT_EQ(merging.merge("aaab"), (Pieces{"aa", "a", "b</w>"}));
}

// "abc a" ranks below the merge that gives "abc" itself; all of the latter must still go before it.
TEST(BytePair, AllOccurrencesGoBeforeWhatTheyGive) {
    const Merging merging({{"b", "c"}, {"abc", "a"}, {"a", "bc"}});
    EXPECT_EQ(merging.merge("abcabcd"), (Pieces{"abc", "abc", "d</w>"}));
}

TEST(BytePair, EqualsThePlainAlgorithmOnRandomMerges) {
    std::mt19937 random(1);
    const auto pick = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
    };
    for (int round = 0; round < 300; ++round) {
        std::vector<std::string> symbols = {"a", "b", "c", "a</w>", "b</w>"};
        Merges merges;
        for (int i = 0; i < 14; ++i) {
            const auto left = symbols[pick(symbols.size())];
            if (left.ends_with(kEndOfWord)) continue;
            merges.push_back({left, symbols[pick(symbols.size())]});
            symbols.push_back(merges.back().left + merges.back().right);
        }
        std::shuffle(merges.begin(), merges.end(), random);  // ranks that training would never give
        const Merging merging(merges);
        std::string word(1 + pick(40), 'a');
        for (char& c : word) c = static_cast<char>('a' + pick(3));
        EXPECT_EQ(merging.merge(word), merging.merge_plainly(word)) << word;
    }
}

TEST(BytePair, UnknownPiecesHaveNoId) {
    const BytePairMerger merger(Vocabulary({{"a", 7}}, {}));
    const std::vector<std::uint8_t> word = {'a', 'b'};
    const auto ids = merger.merge(word);
    ASSERT_EQ(ids.size(), 2u);
    EXPECT_EQ(ids[0], 7);
    EXPECT_FALSE(ids[1]);
}

}  // namespace
}  // namespace sdxl
