#include "text/tokenizer_config.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "temp_file.h"

namespace sdxl {
namespace {

TEST(TokenizerConfig, ReadsTokensInBothForms) {
    const TempFile file(
        R"({"pad_token": "!", "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": null,
                            "model_max_length": 77, "other": [1]})");
    const auto config = load_tokenizer_config(file.path());
    EXPECT_EQ(config.pad_token, "!");
    EXPECT_EQ(config.bos_token, "<s>");
    EXPECT_EQ(config.eos_token, "<|endoftext|>");
    EXPECT_EQ(config.model_max_length, 77);
}

TEST(TokenizerConfig, NoLimitMeansClipsOwn) {
    const TempFile file(R"({"model_max_length": 1e30})");
    const auto config = load_tokenizer_config(file.path());
    EXPECT_EQ(config.model_max_length, 77);
    EXPECT_FALSE(config.pad_token);
}

TEST(TokenizerConfig, NamesTheBrokenFile) {
    for (const char* text : {"", "[]", "{", R"({"pad_token": 3})", R"({"model_max_length": 2})"}) {
        const TempFile file(text);
        try {
            load_tokenizer_config(file.path());
            FAIL() << text;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidModel) << text;
            EXPECT_NE(failure.error().message.find(file.path().string()), std::string::npos) << text;
        }
    }
}

TEST(TokenizerConfig, AMissingFileIsNotFound) {
    try {
        load_tokenizer_config("/nonexistent/tokenizer_config.json");
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kNotFound);
    }
}

}  // namespace
}  // namespace sdxl
