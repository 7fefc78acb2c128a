// Where a textual inversion's word is found in a prompt.
#include "text/prompt_triggers.h"

#include <gtest/gtest.h>

namespace sdxl {
namespace {

// Pieces with triggers as {their text}.
std::string shown(const std::vector<std::string>& words, const std::string& prompt) {
    std::vector<PromptTrigger> triggers;
    for (const auto& word : words) triggers.push_back({word, 1000, 1});
    const PromptTriggers all(std::move(triggers));
    std::string text;
    for (const auto& piece : all.split(prompt)) {
        if (!text.empty()) text += "|";
        text += piece.trigger != nullptr ? "{" + piece.trigger->text + "}" : piece.text;
    }
    return text;
}

TEST(PromptTriggers, ATextWithoutOneIsItself) {
    EXPECT_EQ(shown({}, "A  Cat"), "A  Cat");
    EXPECT_EQ(shown({"my-emb"}, "A  Cat"), "A  Cat");
    EXPECT_EQ(shown({"my-emb"}, ""), "");
}

TEST(PromptTriggers, AreFoundAnywhereInAnyCase) {
    EXPECT_EQ(shown({"my-emb"}, "my-emb"), "{my-emb}");
    EXPECT_EQ(shown({"my-emb"}, "a my-emb, b"), "a |{my-emb}|, b");
    EXPECT_EQ(shown({"my-emb"}, "My-EMB my-emb"), "{my-emb}| |{my-emb}");
    EXPECT_EQ(shown({"EasyNegative"}, "easynegative"), "{EasyNegative}");
    EXPECT_EQ(shown({"two words"}, "a two\n  words"), "a |{two words}");
    EXPECT_EQ(shown({"ÜBER_1"}, "über_1!"), "{ÜBER_1}|!");
}

TEST(PromptTriggers, OtherSpellingsOfUsers) {
    EXPECT_EQ(shown({"my-emb"}, "a <my-emb>"), "a |{my-emb}");
    EXPECT_EQ(shown({"my-emb"}, "embedding:my-emb, a"), "{my-emb}|, a");
    EXPECT_EQ(shown({"<cat-toy>"}, "a <cat-toy>, b"), "a |{<cat-toy>}|, b");
    EXPECT_EQ(shown({"<cat-toy>"}, "cat-toy"), "cat-toy");
    EXPECT_EQ(shown({"<s0><s1>"}, "in the style of <s0><s1>"), "in the style of |{<s0><s1>}");
    EXPECT_EQ(shown({"<s0>", "<s1>"}, "<s0><s1>,"), "{<s0>}|{<s1>}|,");
}

TEST(PromptTriggers, AreWholeWords) {
    for (const char* text : {"negative", "xneg", "neg2", "2neg", "négneg", "negé"})
        EXPECT_EQ(shown({"neg"}, text), text);
    EXPECT_EQ(shown({"neg1"}, "neg12"), "neg12");
    EXPECT_EQ(shown({"neg"}, "(neg)_neg"), "(|{neg}|)_|{neg}");
    EXPECT_EQ(shown({"-x-"}, "a-x-b"), "a|{-x-}|b");
}

TEST(PromptTriggers, TheLongestWins) {
    EXPECT_EQ(shown({"neg", "neg-xl"}, "neg-xl neg"), "{neg-xl}| |{neg}");
    EXPECT_EQ(shown({"neg-xl", "neg"}, "neg-xlarge"), "{neg}|-xlarge");
}

TEST(PromptTriggers, BytesThatAreNoUtf8AreHarmless) {
    EXPECT_EQ(shown({"neg"}, "\xff neg \xc3"), "\xEF\xBF\xBD |{neg}| \xEF\xBF\xBD");
}

}  // namespace
}  // namespace sdxl
