#include "weights/textual_inversion_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "expect_failure.h"
#include "model_builder.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::safetensors;
using testing::TemporaryFolder;

struct Vectors {
    std::string name;
    std::string shape;
    std::vector<float> values;
    std::string dtype = "F32";
};

std::string bytes_of(const Vectors& vectors) {
    std::string bytes;
    for (const float value : vectors.values) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        // The values of these tests are exact in 16 bits.
        std::uint32_t stored = bits;
        std::size_t size = 4;
        if (vectors.dtype == "BF16") stored = bits >> 16, size = 2;
        if (vectors.dtype == "F16")
            stored = (bits >> 16 & 0x8000U) | (value == 0 ? 0 : ((bits >> 13) - 0x1c000U) & 0x7fffU),
            size = 2;
        for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(stored >> (8 * i) & 0xFFU);
    }
    return bytes;
}

std::string file_of(const std::vector<Vectors>& tensors) {
    std::string header = "{";
    std::string data;
    for (const auto& tensor : tensors) {
        const std::size_t begin = data.size();
        data += bytes_of(tensor);
        header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + R"(":{"dtype":")" + tensor.dtype +
                  R"(","shape":)" + tensor.shape + R"(,"data_offsets":[)" + std::to_string(begin) + "," +
                  std::to_string(data.size()) + "]}";
    }
    return safetensors(header + "}", data);
}

std::vector<float> counting(std::size_t count) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 128) / 64 - 1;
    return values;
}

class TextualInversionFile : public ::testing::Test {
  protected:
    std::shared_ptr<const TextualInversion> load(const std::vector<Vectors>& tensors,
                                                 const std::string& name = "my-emb.safetensors") const {
        return load_textual_inversion(folder.write(name, file_of(tensors)));
    }
    void refuses(const std::vector<Vectors>& tensors, std::initializer_list<std::string> named) const {
        expect_failure([&] { load(tensors); }, ErrorCode::kInvalidModel, named);
    }
    const TemporaryFolder folder;
};

TEST_F(TextualInversionFile, TheNamesOfBothEncoders) {
    for (const auto& [l, g] : {std::pair{"clip_l", "clip_g"}, {"text_encoders_0", "text_encoders_1"}})
        for (const char* dtype : {"F32", "F16", "BF16"}) {
            const auto read =
                load({{l, "[2,768]", counting(2 * 768), dtype}, {g, "[2,1280]", counting(2 * 1280), dtype}});
            EXPECT_EQ(read->vectors, 2);
            EXPECT_EQ(read->trigger, "my-emb");
            EXPECT_EQ(read->clip_l.tensor, l);
            EXPECT_EQ(read->clip_l.width, 768);
            EXPECT_EQ(read->clip_l.values, counting(2 * 768)) << dtype;
            EXPECT_EQ(read->clip_g.width, 1280);
            EXPECT_EQ(read->clip_g.values, counting(2 * 1280)) << dtype;
            EXPECT_TRUE(read->warnings.empty());
        }
}

TEST_F(TextualInversionFile, ASingleVectorNeedsNoSecondExtent) {
    const auto read = load({{"clip_l", "[768]", counting(768)}, {"clip_g", "[1,1280]", counting(1280)}});
    EXPECT_EQ(read->vectors, 1);
    EXPECT_EQ(read->clip_l.width, 768);
}

TEST_F(TextualInversionFile, OneEncoderAloneIsSaid) {
    const auto read = load({{"clip_g", "[1,1280]", counting(1280)}});
    EXPECT_EQ(read->vectors, 1);
    EXPECT_TRUE(read->clip_l.values.empty());
    ASSERT_EQ(read->warnings.size(), 1U);
    for (const char* text :
         {"my-emb.safetensors", "second text encoder alone", "the first one sees its word"})
        EXPECT_NE(read->warnings[0].find(text), std::string::npos) << read->warnings[0];
}

TEST_F(TextualInversionFile, DiffusersFilesOfOneToken) {
    const auto g = load({{"<cat-toy>", "[3,1280]", counting(3 * 1280)}});
    EXPECT_EQ(g->trigger, "<cat-toy>");
    EXPECT_EQ(g->clip_g.values.size(), 3U * 1280);
    const auto l = load({{"<cat-toy>", "[768]", counting(768)}});
    EXPECT_EQ(l->clip_l.values.size(), 768U);
    EXPECT_NE(l->warnings.at(0).find("Stable Diffusion 1.5 look the same"), std::string::npos);
    refuses({{"<cat-toy>", "[1024]", counting(1024)}}, {"<cat-toy>", "Stable Diffusion 2.x", "1280"});
    refuses({{"<cat-toy>", "[5]", counting(5)}}, {"<cat-toy>", "[5]"});
}

TEST_F(TextualInversionFile, DiffusersFolderOfBoth) {
    const std::string first = "learned/learned_embeds.safetensors";
    folder.write(first, file_of({{"<toy>", "[2,768]", counting(2 * 768)}}));
    folder.write("learned/learned_embeds_2.safetensors",
                 file_of({{"<toy>", "[2,1280]", counting(2 * 1280)}}));
    const auto read = load_textual_inversion(folder.path() / "learned");
    EXPECT_EQ(read->trigger, "<toy>");
    EXPECT_EQ(read->vectors, 2);
    EXPECT_EQ(read->clip_g.values, counting(2 * 1280));
    EXPECT_TRUE(read->warnings.empty());
    folder.write("learned/learned_embeds_2.safetensors", file_of({{"<toy>", "[2,768]", counting(2 * 768)}}));
    expect_failure([&] { load_textual_inversion(folder.path() / "learned"); }, ErrorCode::kInvalidModel,
                   {"learned_embeds_2.safetensors", "same text encoder"});
    folder.write("other/readme.txt", "");
    expect_failure([&] { load_textual_inversion(folder.path() / "other"); }, ErrorCode::kNotFound,
                   {"other", "learned_embeds.safetensors"});
}

TEST_F(TextualInversionFile, WhatIsNotUsedIsNamed) {
    const auto read = load({{"clip_l", "[768]", counting(768)},
                            {"clip_g", "[1280]", counting(1280)},
                            {"clip_g_out", "[1280]", counting(1280)}});
    ASSERT_EQ(read->warnings.size(), 1U);
    EXPECT_NE(read->warnings[0].find("clip_g_out"), std::string::npos) << read->warnings[0];
}

TEST_F(TextualInversionFile, EmbeddingsForOtherModelsAreNamed) {
    refuses(
        {{"emb_params", "[2,768]", counting(2 * 768)}},
        {"my-emb.safetensors", "Stable Diffusion 1.5", "emb_params", "version of this embedding for SDXL"});
    refuses({{"emb_params", "[1024]", counting(1024)}}, {"Stable Diffusion 2.x"});
    refuses({{"clip_l", "[768]", counting(768)}, {"t5", "[4096]", counting(4096)}}, {"Flux", "'t5'"});
    refuses({{"clip_l", "[768]", counting(768)},
             {"clip_g", "[1280]", counting(1280)},
             {"t5xxl", "[8]", counting(8)}},
            {"Stable Diffusion 3"});
}

TEST_F(TextualInversionFile, OtherFilesAreNamed) {
    refuses({{"lora_unet_x.lora_up.weight", "[4]", counting(4)}}, {"a LoRA", "not a textual inversion"});
    const auto checkpoint = folder.write("model.safetensors", safetensors(testing::tiny_base()));
    expect_failure([&] { load_textual_inversion(checkpoint); }, ErrorCode::kInvalidModel,
                   {"model.safetensors", "an SDXL checkpoint"});
    refuses({{"a", "[2]", counting(2)}, {"b", "[2]", counting(2)}}, {"no model that this worker knows"});
    refuses({}, {"no model that this worker knows"});
}

TEST_F(TextualInversionFile, BrokenPicklesAreNamed) {
    for (const char* name : {"a.pt", "a.bin", "a.CKPT", "b.safetensors"})
        expect_failure(
            [&] { load_textual_inversion(folder.write(name, "PK\x03\x04xxxxxxxxxxxxxxxxxxxxxx")); },
            ErrorCode::kInvalidModel, {name, "broken archive"});
}

TEST_F(TextualInversionFile, BrokenVectorsAreNamed) {
    const Vectors good{"clip_l", "[768]", counting(768)};
    refuses({good, {"clip_g", "[2,1280]", counting(2 * 1280)}}, {"clip_l", "clip_g", "1 vectors", "2,"});
    refuses({{"clip_l", "[76,4]", counting(76 * 4)}}, {"clip_l", "76 vectors", "75"});
    EXPECT_EQ(load({{"clip_l", "[75,4]", counting(75 * 4)}})->vectors, 75);
    refuses({{"clip_l", "[1,1,768]", counting(768)}}, {"clip_l", "[1, 1, 768]"});
    refuses({{"clip_l", "[0,768]", {}}}, {"clip_l", "[0, 768]", "empty"});
    refuses({{"clip_l", "[768]", counting(768), "I32"}}, {"clip_l", "int32"});
    refuses({good, {"text_encoders_0", "[768]", counting(768)}}, {"same text encoder"});
    for (const float value : {std::nanf(""), INFINITY}) {
        auto damaged = good;
        damaged.values[700] = value;
        refuses({damaged}, {"my-emb.safetensors", "clip_l", "NaN or infinity"});
    }
}

TEST_F(TextualInversionFile, TruncatedAndMissingFiles) {
    const std::string whole = file_of({{"clip_l", "[768]", counting(768)}});
    for (const std::size_t size : {whole.size() - 1, std::size_t{40}, std::size_t{7}})
        expect_failure(
            [&] { load_textual_inversion(folder.write("cut.safetensors", whole.substr(0, size))); },
            ErrorCode::kInvalidModel, {"cut.safetensors"});
    expect_failure([&] { load_textual_inversion(folder.path() / "none.safetensors"); }, ErrorCode::kNotFound,
                   {"none.safetensors"});
}

}  // namespace
}  // namespace sdxl
