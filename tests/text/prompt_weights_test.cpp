// Emphasis as the A1111 web UI reads it. Expected values are worked out by hand from its documentation.
#include "text/prompt_weights.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace sdxl {
namespace {

std::string shown(const std::string& prompt) {
    std::string text;
    for (const auto& part : parse_prompt_weights(prompt)) {
        if (!text.empty()) text += " | ";
        char weight[32];
        std::snprintf(weight, sizeof weight, "%.4g", part.weight);
        text += part.breaks ? "BREAK" : "'" + part.text + "' " + weight;
    }
    return text;
}

TEST(PromptWeights, TextWithoutBracketsIsOnePart) {
    EXPECT_EQ(shown("a cat, a dog"), "'a cat, a dog' 1");
    EXPECT_EQ(shown(""), "'' 1");
    EXPECT_EQ(shown("a: b"), "'a: b' 1");
}

TEST(PromptWeights, BracketsMultiply) {
    EXPECT_EQ(shown("a (b) c"), "'a ' 1 | 'b' 1.1 | ' c' 1");
    EXPECT_EQ(shown("((b))"), "'b' 1.21");
    EXPECT_EQ(shown("[b]"), "'b' 0.9091");
    EXPECT_EQ(shown("(b:1.5)"), "'b' 1.5");
    EXPECT_EQ(shown("(b: 0.5 )"), "'b' 0.5");
    EXPECT_EQ(shown("(b:-1)"), "'b' -1");
    EXPECT_EQ(shown("(a (b:2) c:3)"), "'a ' 3 | 'b' 6 | ' c' 3");
    EXPECT_EQ(shown("(a [b])"), "'a ' 1.1 | 'b' 1");
}

TEST(PromptWeights, BracketsWithoutPartnerAreTakenAsWebUiDoes) {
    EXPECT_EQ(shown("(a"), "'a' 1.1");
    EXPECT_EQ(shown("[a"), "'a' 0.9091");
    EXPECT_EQ(shown("a)"), "'a)' 1");
    EXPECT_EQ(shown("((a)"), "'a' 1.21");
    EXPECT_EQ(shown("a:1.2)"), "'a:1.2)' 1");
    EXPECT_EQ(shown("(a:x)"), "'a:x' 1.1");
}

// The example in the web UI's own documentation of its parser.
TEST(PromptWeights, TheWebUisExample) {
    EXPECT_EQ(shown("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))."),
              "'a ' 1 | 'house' 1.573 | ' ' 1.1 | 'on' 1 | ' a ' 1.1 | 'hill' 0.55 | ', sun, ' 1.1 | 'sky' "
              "1.464 | '.' 1.1");
}

TEST(PromptWeights, RoundAndSquareBracketsMayCross) {
    EXPECT_EQ(shown("(a [b) c]"), "'a ' 1.1 | 'b' 1 | ' c' 0.9091");
    EXPECT_EQ(shown("[a (b] c:2)"), "'a ' 0.9091 | 'b' 1.818 | ' c' 2");
}

TEST(PromptWeights, ABackslashMakesABracketText) {
    EXPECT_EQ(shown(R"(\(a\) \[b\] \\)"), R"('(a) [b] \' 1)");
    EXPECT_EQ(shown(R"((a\):1.5))"), "'a)' 1.5");
    EXPECT_EQ(shown(R"(a\b\)"), "'ab' 1");
}

TEST(PromptWeights, BreakEndsAChunk) {
    EXPECT_EQ(shown("a BREAK b"), "'a' 1 | BREAK | 'b' 1");
    EXPECT_EQ(shown("BREAKFAST at BREAK"), "'BREAKFAST at' 1 | BREAK");
    EXPECT_EQ(shown("a,BREAK,b"), "'a,' 1 | BREAK | ',b' 1");
    EXPECT_EQ(shown("DAYBREAK BREAK_IN"), "'DAYBREAK BREAK_IN' 1");
    EXPECT_EQ(shown("(a BREAK b:2)"), "'a' 2 | BREAK | 'b' 2");
}

TEST(PromptWeights, ThousandsOfBracketsStayFiniteAndCheap) {
    const std::string many(32000, '(');
    const auto open = parse_prompt_weights(many + "a");
    ASSERT_EQ(open.size(), 1u);
    EXPECT_TRUE(std::isfinite(open[0].weight));
    const auto closed = parse_prompt_weights(std::string(8000, '[') + "a" + std::string(8000, ']'));
    EXPECT_EQ(closed.at(0).text, "a");
    std::string numbers;
    for (int i = 0; i < 4000; ++i) numbers += "(a:99)";
    EXPECT_EQ(parse_prompt_weights(numbers).at(0).weight, 99);
}

// A vocabulary of single letters and the comma.
class PromptChunks : public testing::Test {
  protected:
    static Tokenizer make_tokenizer() { return Tokenizer::load_folder(SDXL_TEST_DATA "/micro_tokenizer"); }
    const Tokenizer tokenizer = make_tokenizer();
    std::vector<PromptChunk> chunks(const std::string& prompt, const PromptTriggers& triggers = {}) const {
        return chunk_prompt(parse_prompt_weights(prompt), tokenizer, 0, triggers);
    }
    // How many tokens stand between start and end.
    int used(const PromptChunk& chunk) const {
        for (std::size_t i = 1; i < chunk.ids.size(); ++i)
            if (chunk.ids[i] == tokenizer.eos_id()) return static_cast<int>(i) - 1;
        return -1;
    }
};

TEST_F(PromptChunks, AShortPromptIsOneChunkLikeTheTokenizersOwn) {
    const auto all = chunks("a b");
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].ids, tokenizer.encode_padded("a b", 0).ids);
    for (const float weight : all[0].weights) EXPECT_EQ(weight, 1.0F);
    EXPECT_EQ(chunks("").size(), 1u);
    EXPECT_EQ(chunks("")[0].ids, empty_chunk(tokenizer, 0).ids);
}

TEST_F(PromptChunks, WeightsStandAtTheirTokens) {
    const auto all = chunks("a (b:1.5) a");
    EXPECT_EQ(all.at(0).weights[1], 1.0F);
    EXPECT_EQ(all.at(0).weights[2], 1.5F);
    EXPECT_EQ(all.at(0).weights[3], 1.0F);
    EXPECT_EQ(all.at(0).weights[0], 1.0F);
}

TEST_F(PromptChunks, ALongPromptGoesOnInTheNextChunk) {
    const int room = tokenizer.max_length() - 2;
    std::string prompt;
    for (int i = 0; i < room + 5; ++i) prompt += "a ";
    const auto all = chunks(prompt);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(used(all[0]), room);
    EXPECT_EQ(used(all[1]), 5);
}

// As the web UI with its comma_padding_backtrack of 20: the comma may stand at the last 20 places of a chunk.
TEST_F(PromptChunks, AFullChunkEndsAtACommaNearItsEnd) {
    const int room = tokenizer.max_length() - 2;
    const auto prompt = [&](int before, int behind, const char* next) {
        std::string text;
        for (int i = 0; i < before; ++i) text += "a ";
        text += ", ";
        for (int i = 0; i < behind; ++i) text += "b ";
        return text + next;
    };
    EXPECT_EQ(used(chunks(prompt(room - 20, 19, "b")).at(0)), room - 19);
    EXPECT_EQ(used(chunks(prompt(room - 20, 19, "b")).at(1)), 20);
    EXPECT_EQ(used(chunks(prompt(room - 21, 20, "b")).at(0)), room);
    EXPECT_EQ(used(chunks(prompt(room - 5, 4, ", b")).at(0)), room) << "a comma may begin a chunk";
    EXPECT_EQ(used(chunks(prompt(room - 5, 4, ", b")).at(1)), 2);
}

TEST_F(PromptChunks, BreakBeginsAChunk) {
    const auto all = chunks("a BREAK b b");
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(used(all[0]), 1);
    EXPECT_EQ(used(all[1]), 2);
    EXPECT_EQ(chunks("a BREAK").size(), 1u);
}

// A word that stands for the ids 1000, 1001, ...
PromptTriggers one_trigger(std::int32_t count) {
    return PromptTriggers({{"my-emb", 1000, count}});
}

TEST_F(PromptChunks, ATriggersIdsStandInItsPlace) {
    const auto all = chunks("a (b my-emb:1.5), a", one_trigger(3));
    ASSERT_EQ(all.size(), 1u);
    const auto a = tokenizer.encode("a").at(0), b = tokenizer.encode("b").at(0),
               comma = tokenizer.encode(",").at(0);
    const std::vector<std::int32_t> expected{a, b, 1000, 1001, 1002, comma, a};
    EXPECT_EQ(std::vector(all[0].ids.begin() + 1, all[0].ids.begin() + 8), expected);
    EXPECT_EQ(std::vector(all[0].weights.begin(), all[0].weights.begin() + 8),
              (std::vector<float>{1, 1, 1.5F, 1.5F, 1.5F, 1.5F, 1, 1}));
    EXPECT_EQ(chunks("my-emb", one_trigger(2)).at(0).ids[2], 1001);
}

TEST_F(PromptChunks, ATriggerIsNeverParted) {
    const int room = tokenizer.max_length() - 2;
    const auto behind = [&](int words, std::int32_t count) {
        std::string prompt;
        for (int i = 0; i < words; ++i) prompt += "a ";
        return chunks(prompt + "my-emb b", one_trigger(count));
    };
    const auto fits = behind(room - 4, 4);
    ASSERT_EQ(fits.size(), 2u);
    EXPECT_EQ(used(fits[0]), room);
    EXPECT_EQ(used(fits[1]), 1);
    for (const int words : {room - 3, room - 1, room}) {
        const auto moved = behind(words, 4);
        ASSERT_EQ(moved.size(), 2u);
        EXPECT_EQ(used(moved[0]), words);
        EXPECT_EQ(moved[1].ids[1], 1000);
        EXPECT_EQ(moved[1].ids[4], 1003);
        EXPECT_EQ(used(moved[1]), 5);
    }
    EXPECT_EQ(behind(1, room).size(), 3u);
    EXPECT_THROW(behind(1, room + 1), Failure);
}

TEST_F(PromptChunks, ATriggerBehindTheLastCommaMovesWhole) {
    const int room = tokenizer.max_length() - 2;
    std::string prompt;
    for (int i = 0; i < room - 5; ++i) prompt += "a ";
    const auto all = chunks(prompt + ", my-emb b", one_trigger(4));
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(used(all[0]), room - 4);
    EXPECT_EQ(all[1].ids[1], 1000);
    EXPECT_EQ(used(all[1]), 5);
    // What stands between the comma and a trigger for which the full chunk has no room goes with it.
    prompt.clear();
    for (int i = 0; i < room - 3; ++i) prompt += "a ";
    const auto with_it = chunks(prompt + ", b b my-emb", one_trigger(4));
    ASSERT_EQ(with_it.size(), 2u);
    EXPECT_EQ(used(with_it[0]), room - 2);
    EXPECT_EQ(with_it[1].ids[3], 1000);
    EXPECT_EQ(used(with_it[1]), 6);
}

}  // namespace
}  // namespace sdxl
