// Textual inversions on the micro model. The oracle is the vocabulary itself: vectors that are the rows of
// some tokens must do what these tokens do, to the bit.
#include "pipeline/textual_inversions.h"

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "micro_model.h"
#include "micro_variants.h"

namespace {

using namespace sdxl;

class TextualInversions : public MicroModelTest {
  protected:
    // The rows of `tokens` in a text encoder's table.
    static InversionVectors rows_of(const std::string& component, const std::vector<std::int32_t>& tokens) {
        const PlainTensors tensors = micro_component(component);
        const PlainTensor& table = tensors.at("text_model.embeddings.token_embedding.weight");
        InversionVectors vectors{component, table.shape[1], {}};
        for (const auto token : tokens) {
            const auto begin = table.values.begin() + token * table.shape[1];
            vectors.values.insert(vectors.values.end(), begin, begin + table.shape[1]);
        }
        return vectors;
    }
    // An embedding that is the text.
    static GivenInversion meaning(const std::string& text, const std::string& trigger = "") {
        const auto tokens = model().tokenizer->encode(text);
        TextualInversion inversion;
        inversion.path = "my-emb.safetensors";
        inversion.trigger = "my-emb";
        inversion.vectors = static_cast<std::int64_t>(tokens.size());
        inversion.clip_l = rows_of("text_encoder", tokens);
        inversion.clip_g = rows_of("text_encoder_2", tokens);
        return {std::make_shared<const TextualInversion>(std::move(inversion)), trigger};
    }
    static GivenInversion with(const GivenInversion& given,
                               const std::function<void(TextualInversion&)>& change) {
        TextualInversion inversion = *given.inversion;
        change(inversion);
        return {std::make_shared<const TextualInversion>(std::move(inversion)), given.trigger};
    }

    static GenerationRequest prompts(const std::string& prompt, const std::string& negative = "ef") {
        GenerationRequest request = MicroModelTest::request();
        request.prompt = prompt;
        request.negative_prompt = negative;
        return request;
    }
    static PromptEmbeddings encoded(const GenerationRequest& request,
                                    const std::vector<GivenInversion>& inversions = {},
                                    bool guidance = true) {
        return encode_prompt(context(), model(), request, guidance, inversions);
    }
    static void expect_same(const PromptEmbeddings& a, const PromptEmbeddings& b) {
        EXPECT_TRUE(a.context == b.context);
        EXPECT_TRUE(a.pooled == b.pooled);
        EXPECT_EQ(a.tokens, b.tokens);
    }
    static bool mentions(const std::vector<std::string>& lines, const std::string& text) {
        return std::any_of(lines.begin(), lines.end(),
                           [&](const std::string& line) { return line.find(text) != std::string::npos; });
    }
};

TEST_F(TextualInversions, AreTheTokensWhoseRowsTheyHave) {
    for (const char* text : {"x", "ab cd", "a b c d e f g h"}) {
        const auto given = meaning(text);
        const auto made = encoded(prompts("some my-emb, here"), {given});
        expect_same(made, encoded(prompts(std::string("some ") + text + ", here")));
        EXPECT_EQ(made.used_triggers, std::vector<std::string>{"my-emb"});
        EXPECT_TRUE(made.warnings.empty());
        EXPECT_FALSE(made.context == encoded(prompts("some my-emb, here")).context);
    }
}

TEST_F(TextualInversions, StandInEveryPrompt) {
    const auto given = meaning("ab cd");
    const auto filled = [](const std::string& word) {
        GenerationRequest request = prompts("a " + word, "b " + word);
        request.prompt_2 = word + " c";
        request.negative_prompt_2 = "d " + word + " d";
        return request;
    };
    expect_same(encoded(filled("my-emb"), {given}), encoded(filled("ab cd")));
    for (const auto member : {&GenerationRequest::prompt, &GenerationRequest::negative_prompt,
                              &GenerationRequest::prompt_2, &GenerationRequest::negative_prompt_2}) {
        GenerationRequest one = filled("x"), expected = filled("x");
        one.*member = "my-emb";
        expected.*member = "ab cd";
        const auto made = encoded(one, {given});
        expect_same(made, encoded(expected));
        EXPECT_EQ(made.used_triggers.size(), 1U);
    }
}

TEST_F(TextualInversions, CarryWeights) {
    const auto given = meaning("ab cd");
    const auto made = encoded(prompts("a (my-emb:1.4) [b my-emb]"), {given});
    EXPECT_TRUE(made.weighted);
    expect_same(made, encoded(prompts("a (ab cd:1.4) [b ab cd]")));
    GenerationRequest plain = prompts("a my-emb b"), expected = prompts("a ab cd b");
    plain.prompt_weighting = expected.prompt_weighting = false;
    expect_same(encoded(plain, {given}), encoded(expected));
}

TEST_F(TextualInversions, AreNotPartedAtAChunksEnd) {
    const auto room = static_cast<std::size_t>(model().tokenizer->max_length() - 2);
    const auto given = meaning("a b c d");
    ASSERT_EQ(given.inversion->vectors, 4);
    for (const std::size_t before : {room - 4, room - 3, room - 1, room}) {
        std::string words;
        for (std::size_t i = 0; i < before; ++i) words += "x ";
        const auto made = encoded(prompts(words + "my-emb y"), {given});
        const bool fits = before == room - 4;
        expect_same(made, encoded(prompts(words + (fits ? "a b c d y" : "BREAK a b c d y"))));
        EXPECT_EQ(made.tokens, 2 * model().tokenizer->max_length());
    }
}

TEST_F(TextualInversions, SeveralAtOnce) {
    const auto one = meaning("ab", "one"), two = meaning("cd ef", "<two>"),
               longer = meaning("x y", "one-more");
    const auto made = encoded(prompts("one-more <two> one", "<two>"), {one, two, longer});
    expect_same(made, encoded(prompts("x y cd ef ab", "cd ef")));
    EXPECT_EQ(made.used_triggers, (std::vector<std::string>{"one", "<two>", "one-more"}));
}

TEST_F(TextualInversions, OnesThatAreNotMentionedChangeNothingAndAreSaid) {
    const auto given = meaning("ab cd");
    const auto request = prompts("A  (b:1.2), c", "d");
    const auto made = encoded(request, {given});
    expect_same(made, encoded(request));
    EXPECT_TRUE(made.used_triggers.empty());
    EXPECT_TRUE(mentions(made.warnings, "my-emb.safetensors"));
    EXPECT_TRUE(mentions(made.warnings, "'my-emb' is in no prompt"));
    // Where nothing is guided, the negative prompt is not read.
    const auto unguided = encoded(prompts("a", "my-emb"), {given}, false);
    EXPECT_TRUE(unguided.used_triggers.empty());
    EXPECT_TRUE(mentions(unguided.warnings, "without guidance no negative one is read"));
    EXPECT_TRUE(encoded(request).warnings.empty());
}

TEST_F(TextualInversions, AnEncoderWithoutVectorsReadsTheWord) {
    const auto given = meaning("cd", "ab");
    ASSERT_EQ(given.inversion->vectors, static_cast<std::int64_t>(model().tokenizer->encode("ab").size()));
    const auto second_alone = with(given, [](TextualInversion& inversion) {
        inversion.clip_l = {};
        inversion.warnings = {"second alone"};
    });
    GenerationRequest expected = prompts("x ab");
    expected.prompt_2 = "x cd";
    const auto made = encoded(prompts("x ab"), {second_alone});
    expect_same(made, encoded(expected));
    EXPECT_EQ(made.warnings, std::vector<std::string>{"second alone"});
    const auto first_alone = with(given, [](TextualInversion& inversion) { inversion.clip_g = {}; });
    expected.prompt = "x cd";
    expected.prompt_2 = "x ab";
    expect_same(encoded(prompts("x ab"), {first_alone}), encoded(expected));
}

TEST_F(TextualInversions, TheConditioningTellsWhichWereUsed) {
    const auto request = prompts("my-emb");
    const Conditioning conditioning(context(), model(), request, true,
                                    {meaning("ab"), meaning("cd", "unused")});
    EXPECT_EQ(conditioning.used_triggers(), std::vector<std::string>{"my-emb"});
    EXPECT_TRUE(mentions(conditioning.warnings(), "'unused'"));
    EXPECT_TRUE(conditioning.finite());
}

TEST_F(TextualInversions, WhatDoesNotFitIsNamed) {
    const auto refused = [](const std::vector<GivenInversion>& inversions, ErrorCode code,
                            const std::vector<std::string>& named) {
        try {
            encoded(prompts("a"), inversions);
            ADD_FAILURE() << named.front();
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, code);
            for (const auto& text : named)
                EXPECT_NE(failure.error().message.find(text), std::string::npos) << failure.error().message;
        }
    };
    const auto given = meaning("ab");
    const auto wide = with(given, [](TextualInversion& inversion) {
        inversion.clip_g = {"clip_g", 1280,
                            std::vector<float>(static_cast<std::size_t>(inversion.vectors) * 1280)};
    });
    refused({wide}, ErrorCode::kInvalidModel, {"my-emb.safetensors", "'clip_g'", "1280", "expected"});
    refused({given, meaning("cd", "MY-EMB")}, ErrorCode::kInvalidRequest, {"'my-emb'", "another"});
    refused({meaning("cd", "  ")}, ErrorCode::kInvalidRequest, {"my-emb.safetensors", "no word"});
}

}  // namespace
