// Configurations from names and shapes, and what config.json may and may not say.
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "models/clip_config.h"
#include "models/clip_vision_config.h"
#include "models/unet_config.h"
#include "models/vae_config.h"

namespace sdxl {
namespace {

std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kInvalidModel);
        return failure.error().message;
    }
    return "accepted";
}

void put(WeightMap& map, const std::string& name, Shape shape) {
    map.insert(name, {nullptr, DType::kF16, std::move(shape), name}, nullptr);
}

TEST(ClipConfig, TellsTheEncodersApartByTheirProjection) {
    WeightMap map("text_encoder_2");
    put(map, "text_model.embeddings.token_embedding.weight", {49408, 1280});
    put(map, "text_model.embeddings.position_embedding.weight", {77, 1280});
    for (const char* i : {"0", "1", "2"}) {
        put(map, "text_model.encoder.layers." + std::string(i) + ".mlp.fc1.weight", {5120, 1280});
    }
    const auto small = detect_clip_text_config(map);
    EXPECT_EQ(small.activation, Activation::kQuickGelu);
    EXPECT_EQ(small.projection_dim, 0);
    put(map, "text_projection.weight", {1280, 1280});
    const auto config = detect_clip_text_config(map);
    EXPECT_EQ(config.activation, Activation::kGelu);
    EXPECT_EQ(config.layers, 3);
    EXPECT_EQ(config.heads, 20);
    EXPECT_EQ(config.eos_token_id, 49407);
}

TEST(ClipConfig, TakesTheActivationFromJsonAndRefusesOthers) {
    const ClipTextConfig config;
    EXPECT_EQ(check_against_json(config, R"({"hidden_act": "gelu"})").activation, Activation::kGelu);
    EXPECT_EQ(check_against_json(config, R"({"eos_token_id": 2})").eos_token_id, 49407);
    EXPECT_NE(refusal([&] { check_against_json(config, R"({"hidden_act": "relu"})"); }).find("relu"),
              std::string::npos);
    EXPECT_NE(refusal([&] { check_against_json(config, "[]"); }).find("JSON"), std::string::npos);
}

WeightMap vision_encoder(std::int64_t width, std::int64_t inner, int layers, std::int64_t projection) {
    WeightMap map("image_encoder");
    put(map, "vision_model.embeddings.patch_embedding.weight", {width, 3, 14, 14});
    put(map, "vision_model.embeddings.position_embedding.weight", {257, width});
    put(map, "visual_projection.weight", {projection, width});
    for (int i = 0; i < layers; ++i)
        put(map, "vision_model.encoder.layers." + std::to_string(i) + ".mlp.fc1.weight", {inner, width});
    return map;
}

TEST(ClipVisionConfig, KnowsTheEncodersOfIpAdapters) {
    const auto huge = detect_clip_vision_config(vision_encoder(1280, 5120, 32, 1024));  // ViT-H/14
    EXPECT_EQ(huge.layers, 32);
    EXPECT_EQ(huge.heads, 16);
    EXPECT_EQ(huge.image_size, 224);
    EXPECT_EQ(huge.tokens(), 257);
    EXPECT_EQ(huge.activation, Activation::kGelu);
    EXPECT_NO_THROW(check_against_json(huge, R"({"hidden_act": "gelu", "hidden_size": 1280, "image_size": 224,
        "intermediate_size": 5120, "layer_norm_eps": 1e-05, "num_attention_heads": 16, "num_channels": 3,
        "num_hidden_layers": 32, "patch_size": 14, "projection_dim": 1024})"));
    const auto giant = detect_clip_vision_config(vision_encoder(1664, 8192, 48, 1280));  // ViT-bigG/14
    EXPECT_EQ(giant.heads, 16);
    EXPECT_EQ(giant.projection_dim, 1280);
    const auto large = detect_clip_vision_config(vision_encoder(1024, 4096, 24, 768));  // OpenAI's ViT-L/14
    EXPECT_EQ(large.heads, 16);
    EXPECT_EQ(large.activation, Activation::kQuickGelu);
}

TEST(ClipVisionConfig, RefusesWhatDiffersOrDoesNotFit) {
    const ClipVisionConfig config;
    EXPECT_EQ(check_against_json(config, R"({"num_attention_heads": 20, "hidden_act": "quick_gelu"})").heads,
              20);
    for (const char* json :
         {R"({"num_attention_heads": 7})", R"({"num_attention_heads": 0})",
          R"({"num_attention_heads": "16"})", R"({"hidden_act": "relu"})", R"({"image_size": 336})",
          R"({"patch_size": 16})", R"({"projection_dim": 1280})"}) {
        const std::string text(json);
        const std::string key = text.substr(2, text.find('"', 2) - 2);
        EXPECT_NE(refusal([&] { check_against_json(config, json); }).find(key), std::string::npos) << json;
    }
    EXPECT_NE(refusal([] { detect_clip_vision_config(WeightMap("image_encoder")); }).find("patch_embedding"),
              std::string::npos);
    EXPECT_NE(
        refusal([] { detect_clip_vision_config(vision_encoder(1280, 5120, 1, 1024)); }).find("1 layers"),
        std::string::npos);
}

TEST(UNetConfig, RefusesWhatIsNoUNetNamingTheTensor) {
    const WeightMap map("unet");
    EXPECT_NE(refusal([&] { detect_unet_config(map); }).find("conv_in.weight"), std::string::npos);
}

TEST(UNetConfig, AcceptsSdxlBase) {
    EXPECT_NO_THROW(check_against_json(UNetConfig{}, R"({
        "block_out_channels": [320, 640, 1280], "attention_head_dim": [5, 10, 20], "norm_eps": 1e-05,
        "transformer_layers_per_block": [1, 2, 10], "projection_class_embeddings_input_dim": 2816,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "time_cond_proj_dim": null,
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "upcast_attention": null})"));
}

TEST(UNetConfig, NamesTheOptionThatDiffersOrIsNotSupported) {
    for (const char* json :
         {R"({"block_out_channels": [320, 640]})", R"({"attention_head_dim": [5, 8, 20]})",
          R"({"transformer_layers_per_block": [1, 2, 9]})", R"({"time_cond_proj_dim": 256})",
          R"({"act_fn": "gelu"})", R"({"norm_eps": 1e-6})", R"({"flip_sin_to_cos": false})"}) {
        const std::string text(json);
        const std::string key = text.substr(2, text.find('"', 2) - 2);
        EXPECT_NE(refusal([&] { check_against_json(UNetConfig{}, json); }).find(key), std::string::npos)
            << json;
    }
}

TEST(NormGroups, AreTakenFromJsonWhereTheyDivideTheChannels) {
    EXPECT_EQ(check_against_json(VaeConfig{}, R"({"norm_num_groups": 8})").norm_groups, 8);
    EXPECT_EQ(check_against_json(UNetConfig{}, R"({"norm_num_groups": 64})").norm_groups, 64);
    EXPECT_EQ(check_against_json(UNetConfig{}, "{}").norm_groups, 32);
    for (const char* json : {R"({"norm_num_groups": 48})", R"({"norm_num_groups": 0})",
                             R"({"norm_num_groups": -8})", R"({"norm_num_groups": 8.5})",
                             R"({"norm_num_groups": "8"})", R"({"norm_num_groups": 4294967304})"}) {
        EXPECT_NE(refusal([&] { check_against_json(VaeConfig{}, json); }).find("norm_num_groups"),
                  std::string::npos)
            << json;
        EXPECT_NE(refusal([&] { check_against_json(UNetConfig{}, json); }).find("norm_num_groups"),
                  std::string::npos)
            << json;
    }
}

TEST(SampleSize, IsOneNumberOrHeightAndWidth) {
    using Sides = std::array<int, 2>;
    EXPECT_EQ(check_against_json(UNetConfig{}, "{}").sample_size, (Sides{128, 128}));
    EXPECT_EQ(check_against_json(UNetConfig{}, R"({"sample_size": 16})").sample_size, (Sides{16, 16}));
    EXPECT_EQ(check_against_json(UNetConfig{}, R"({"sample_size": [96, 64]})").sample_size, (Sides{96, 64}));
    for (const char* json :
         {R"({"sample_size": 0})", R"({"sample_size": -8})", R"({"sample_size": 1e9})",
          R"({"sample_size": "64"})", R"({"sample_size": [64]})", R"({"sample_size": [64, null]})"})
        EXPECT_NE(refusal([&] { check_against_json(UNetConfig{}, json); }).find("sample_size"),
                  std::string::npos)
            << json;
}

TEST(VaeConfig, ChecksTheScalingFactor) {
    EXPECT_NO_THROW(check_against_json(VaeConfig{}, R"({"scaling_factor": 0.13025})"));
    EXPECT_NE(refusal([] {
                  check_against_json(VaeConfig{}, R"({"scaling_factor": 0.18215})");
              }).find("scaling_factor"),
              std::string::npos);
}

}  // namespace
}  // namespace sdxl
