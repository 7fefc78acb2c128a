#include "text/vocabulary.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "temp_file.h"

namespace sdxl {
namespace {

ErrorCode load_error(const std::string& vocab, const std::string& merges) {
    const TempFile vocab_file(vocab, ".json");
    const TempFile merges_file(merges, ".txt");
    try {
        Vocabulary::load(vocab_file.path(), merges_file.path());
    } catch (const Failure& failure) {
        return failure.error().code;
    }
    ADD_FAILURE() << "loaded " << vocab << " with " << merges;
    return ErrorCode::kInternal;
}

TEST(Vocabulary, ReadsBothFiles) {
    const TempFile vocab(R"({"a": 0, "b</w>": 1, "ab</w>": 2})", ".json");
    const TempFile merges("#version: 0.2\r\na b</w>\r\n\n", ".txt");
    const auto vocabulary = Vocabulary::load(vocab.path(), merges.path());
    EXPECT_EQ(vocabulary.size(), 3);
    EXPECT_EQ(vocabulary.id("ab</w>"), 2);
    EXPECT_FALSE(vocabulary.id("c"));
    ASSERT_EQ(vocabulary.merges().size(), 1u);
    EXPECT_EQ(vocabulary.merges()[0].right, "b</w>");
}

TEST(Vocabulary, RejectsBrokenFiles) {
    for (const char* vocab : {"", "[]", "{}", R"({"a": -1})", R"({"a": 0.5})", R"({"a": "0"})",
                              R"({"a": 1, "b": 1})", R"({"a": 99999999999})"})
        EXPECT_EQ(load_error(vocab, "a b\n"), ErrorCode::kInvalidModel) << vocab;
    for (const char* merges : {"a\n", "a b c\n", " a\n", "a \n"})
        EXPECT_EQ(load_error(R"({"a": 0})", merges), ErrorCode::kInvalidModel) << merges;
}

TEST(Vocabulary, AShortMergesFileIsNotClips) {
    const TempFile merges("a b\n");
    EXPECT_THROW(Vocabulary::load_bpe_vocabulary(merges.path()), Failure);
}

}  // namespace
}  // namespace sdxl
