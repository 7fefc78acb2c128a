// Files of IP-Adapters and of image encoders: which open, and what is said of the others.
#include <gtest/gtest.h>

#include <cstdint>

#include "expect_failure.h"
#include "model_builder.h"
#include "weights/finite_check.h"
#include "weights/image_encoder_file.h"
#include "weights/ip_adapter_file.h"

namespace sdxl::testing {
namespace {

using Specs = std::vector<TensorSpec>;

Specs tiny_adapter() {
    return {{"image_proj.proj.weight", {4, 2}},
            {"image_proj.norm.weight", {2}},
            {"ip_adapter.1.to_k_ip.weight", {2, 2}},
            {"ip_adapter.1.to_v_ip.weight", {2, 2}}};
}

Specs with(Specs tensors, const Specs& more) {
    tensors.insert(tensors.end(), more.begin(), more.end());
    return tensors;
}

TEST(IpAdapterFile, OpensUnderItsOwnNames) {
    const TemporaryFolder folder;
    const auto path =
        folder.write("a.safetensors", safetensors(with(tiny_adapter(), {{"step", {1}, "I64"}})));
    const IpAdapterCheckpoint adapter = open_ip_adapter(path);
    EXPECT_EQ(adapter.weights.entries().size(), 4U);
    ASSERT_EQ(adapter.warnings.size(), 1U);
    EXPECT_NE(adapter.warnings[0].find("'step'"), std::string::npos) << adapter.warnings[0];
}

TEST(IpAdapterFile, OthersAreNamed) {
    const TemporaryFolder folder;
    const auto refused = [&](const Specs& tensors, ErrorCode code, std::initializer_list<std::string> named) {
        const auto path = folder.write("b.safetensors", safetensors(tensors));
        expect_failure([&] { open_ip_adapter(path); }, code, named);
    };
    refused({{"lora_unet_x.lora_down.weight", {2, 2}}}, ErrorCode::kInvalidModel,
            {"a LoRA, not an IP-Adapter", "b.safetensors"});
    refused({{"image_proj.proj.weight", {4, 2}}}, ErrorCode::kInvalidModel, {"no tensors 'ip_adapter.…'"});
    refused({{"ip_adapter.1.to_k_ip.weight", {4, 2}}}, ErrorCode::kInvalidModel,
            {"no tensors 'image_proj.…'"});
    refused(with(tiny_adapter(), {{"ip_adapter.0.to_q_lora.down.weight", {1, 2}}}), ErrorCode::kUnsupported,
            {"FaceID", "ip-adapter_sdxl"});
    refused(with(tiny_adapter(), {{"image_proj.proj.0.weight", {2, 2}}}), ErrorCode::kUnsupported,
            {"FaceID"});
    refused(with(tiny_adapter(), {{"image_proj.perceiver_resampler.proj_in.weight", {2, 2}}}),
            ErrorCode::kUnsupported, {"FaceID Plus"});
    refused(with(tiny_adapter(), {{"image_proj.proj.3.weight", {2}}}), ErrorCode::kUnsupported,
            {"Full Face"});
    refused(with(tiny_adapter(), {{"image_proj.proj_in.weight", {4, 512}}}), ErrorCode::kUnsupported,
            {"InstantID"});
    expect_failure([&] { open_ip_adapter(folder.path() / "none.safetensors"); }, ErrorCode::kNotFound,
                   {"there is no IP-Adapter"});
    expect_failure([&] { open_ip_adapter(folder.write("ip-adapter_sdxl.bin", "PK")); },
                   ErrorCode::kInvalidModel, {"ip-adapter_sdxl.bin", "safetensors"});
    std::string cut = safetensors(tiny_adapter());
    cut.resize(cut.size() - 3);
    expect_failure([&] { open_ip_adapter(folder.write("cut.safetensors", cut)); }, ErrorCode::kInvalidModel,
                   {"cut.safetensors"});
}

Specs tiny_encoder() {
    return {{"vision_model.embeddings.class_embedding", {2}},
            {"vision_model.encoder.layers.0.mlp.fc1.weight", {4, 2}},
            {"visual_projection.weight", {3, 2}}};
}

TEST(ImageEncoderFile, AWholeClipGivesItsVisionEncoder) {
    const TemporaryFolder folder;
    folder.write("clip/model.safetensors",
                 safetensors(with(tiny_encoder(), {{"vision_model.embeddings.position_ids", {1, 2}, "I64"},
                                                   {"text_model.final_layer_norm.weight", {2}},
                                                   {"logit_scale", {}}})));
    folder.write("clip/config.json", R"({"projection_dim": 3, "vision_config": {"hidden_size": 2}})");
    const ImageEncoderCheckpoint encoder = open_image_encoder(folder.path() / "clip");
    EXPECT_EQ(encoder.weights.entries().size(), 3U);
    EXPECT_EQ(encoder.warnings.size(), 3U);  // position indices, contrastive training, the text encoder
    EXPECT_EQ(encoder.config, R"({"hidden_size":2,"projection_dim":3})");
    EXPECT_EQ(open_image_encoder(folder.path() / "clip" / "model.safetensors").config, encoder.config);
}

TEST(ImageEncoderFile, OpenClipsNamesAreTransformers) {
    const TemporaryFolder folder;
    const std::string layer = "visual.transformer.resblocks.0.";
    const auto path =
        folder.write("open_clip.safetensors", safetensors({{"visual.class_embedding", {2}},
                                                           {"visual.conv1.weight", {2, 3, 1, 1}},
                                                           {"visual.ln_pre.bias", {2}},
                                                           {"visual.positional_embedding", {2, 2}},
                                                           {layer + "attn.in_proj_weight", {6, 2}},
                                                           {layer + "mlp.c_fc.bias", {4}},
                                                           {"visual.ln_post.weight", {2}},
                                                           {"visual.proj", {2, 3}},
                                                           {"transformer.resblocks.0.ln_1.bias", {2}}}));
    const ImageEncoderCheckpoint encoder = open_image_encoder(path);
    for (const char* name :
         {"vision_model.embeddings.class_embedding", "vision_model.embeddings.patch_embedding.weight",
          "vision_model.pre_layrnorm.bias", "vision_model.embeddings.position_embedding.weight",
          "vision_model.encoder.layers.0.self_attn.q_proj.weight",
          "vision_model.encoder.layers.0.self_attn.v_proj.weight",
          "vision_model.encoder.layers.0.mlp.fc1.bias", "vision_model.post_layernorm.weight"})
        EXPECT_NE(encoder.weights.find(name), nullptr) << name;
    const auto* projection = encoder.weights.find("visual_projection.weight");
    ASSERT_NE(projection, nullptr);
    EXPECT_EQ(projection->view.shape, (Shape{3, 2}));
    EXPECT_EQ(encoder.warnings.size(), 1U);
}

TEST(ImageEncoderFile, OthersAreNamed) {
    const TemporaryFolder folder;
    expect_failure([&] { open_image_encoder(folder.path() / "none"); }, ErrorCode::kNotFound, {"none"});
    folder.write("empty/config.json", "{}");
    expect_failure([&] { open_image_encoder(folder.path() / "empty"); }, ErrorCode::kNotFound,
                   {"model.safetensors"});
    folder.write("pickled/pytorch_model.bin", "PK");
    expect_failure([&] { open_image_encoder(folder.path() / "pickled"); }, ErrorCode::kInvalidModel,
                   {"pytorch_model.bin"});
    const auto adapter = folder.write("adapter.safetensors", safetensors(tiny_adapter()));
    expect_failure([&] { open_image_encoder(adapter); }, ErrorCode::kInvalidModel,
                   {"an IP-Adapter, not a CLIP vision encoder"});
}

// One value of each kind of number that is none, at the end of a tensor.
TEST(Finite, WhatIsNotANumberIsFound) {
    struct Case {
        const char* dtype;
        std::string bytes;
    };
    const auto bytes_of = [](std::uint64_t bits, std::size_t size) {
        std::string bytes(size, '\0');
        for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(bits >> (8 * i));
        return bytes;
    };
    const TemporaryFolder folder;
    const CancelToken token;
    for (const Case& c : {Case{"F16", bytes_of(0x7c00, 2)},
                          {"F16", bytes_of(0xfe01, 2)},
                          {"BF16", bytes_of(0x7f81, 2)},
                          {"F32", bytes_of(0xff800000, 4)},
                          {"F32", bytes_of(0x7fc00000, 4)},
                          {"F64", bytes_of(0x7ff8000000000000, 8)}}) {
        const std::string header =
            R"({"ip_adapter.1.to_k_ip.weight":{"dtype":")" + std::string(c.dtype) +
            R"(","shape":[3],"data_offsets":[0,)" + std::to_string(3 * c.bytes.size()) +
            R"(]},"image_proj.x":{"dtype":")" + c.dtype + R"(","shape":[0],"data_offsets":[)" +
            std::to_string(3 * c.bytes.size()) + "," + std::to_string(3 * c.bytes.size()) + "]}}";
        const std::string zeros(2 * c.bytes.size(), '\0');
        const auto bad =
            open_ip_adapter(folder.write("bad.safetensors", safetensors(header, zeros + c.bytes)));
        expect_failure([&] { require_finite(bad.weights, token); }, ErrorCode::kInvalidModel,
                       {"bad.safetensors", "ip_adapter.1.to_k_ip.weight", "not numbers"});
        const std::string one(c.bytes.size(), '\x3c');
        const auto good = open_ip_adapter(folder.write("good.safetensors", safetensors(header, zeros + one)));
        EXPECT_NO_THROW(require_finite(good.weights, token)) << c.dtype;
    }
}

}  // namespace
}  // namespace sdxl::testing
