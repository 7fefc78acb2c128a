// CLIP's vision encoder, the projections of IP-Adapter and decoupled cross-attention against a second
// implementation in double precision.
#include "models/ip_adapter.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "micro_references.h"
#include "models/clip_vision_model.h"
#include "nn/attention.h"
#include "plain_network.h"
#include "weights/image_encoder_file.h"
#include "weights/ip_adapter_file.h"
#include "weights/safetensors.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using plain::Matrix;

constexpr double kTolerance = 2e-5;

// modeling_clip.py of transformers: CLIPVisionEmbeddings, CLIPVisionTransformer, CLIPEncoderLayer.
Matrix vision_embeddings(const PlainTensors& w, const std::vector<float>& pixels) {
    const PlainTensor& kernel = w.at("vision_model.embeddings.patch_embedding.weight");  // [32, 3, 3, 3]
    Matrix tokens(17, 32);
    tokens = plain::add(tokens, plain::tensor(w, "vision_model.embeddings.position_embedding.weight"));
    for (std::size_t c = 0; c < 32; ++c) {
        tokens.at(0, c) += static_cast<double>(w.at("vision_model.embeddings.class_embedding").values[c]);
        for (std::size_t patch = 0; patch < 16; ++patch)
            for (std::size_t i = 0; i < 27; ++i) {
                const std::size_t colour = i / 9, y = patch / 4 * 3 + i / 3 % 3, x = patch % 4 * 3 + i % 3;
                tokens.at(patch + 1, c) += static_cast<double>(kernel.values[c * 27 + i]) *
                                           static_cast<double>(pixels[(y * 12 + x) * 3 + colour]);
            }
    }
    return plain::norm(w, "vision_model.pre_layrnorm", tokens);
}

Matrix vision_layer(const PlainTensors& w, int index, const Matrix& x) {
    const std::string layer = "vision_model.encoder.layers." + std::to_string(index);
    const Matrix normed = plain::norm(w, layer + ".layer_norm1", x);
    const Matrix attended = plain::attention(plain::linear(w, layer + ".self_attn.q_proj", normed),
                                             plain::linear(w, layer + ".self_attn.k_proj", normed),
                                             plain::linear(w, layer + ".self_attn.v_proj", normed), 4);
    const Matrix seen = plain::add(plain::linear(w, layer + ".self_attn.out_proj", attended), x);
    const Matrix hidden = plain::map(
        plain::linear(w, layer + ".mlp.fc1", plain::norm(w, layer + ".layer_norm2", seen)), plain::gelu);
    return plain::add(plain::linear(w, layer + ".mlp.fc2", hidden), seen);
}

// resampler.py of tencent-ailab/IP-Adapter: PerceiverAttention, FeedForward, Resampler.
Matrix resample(const PlainTensors& w, const Matrix& states) {
    Matrix latents(5, 40);
    for (std::size_t i = 0; i < latents.values.size(); ++i)
        latents.values[i] = static_cast<double>(w.at("image_proj.latents").values[i]);
    const Matrix x = plain::linear(w, "image_proj.proj_in", states);
    for (const char* index : {"0", "1"}) {
        const std::string layer = std::string("image_proj.layers.") + index;
        const Matrix queries = plain::norm(w, layer + ".0.norm2", latents);
        const Matrix kv = plain::linear(w, layer + ".0.to_kv",
                                        plain::stack(plain::norm(w, layer + ".0.norm1", x), queries));
        const Matrix attended = plain::attention(plain::linear(w, layer + ".0.to_q", queries),
                                                 kv.part(0, 128), kv.part(128, 128), 2);
        latents = plain::add(plain::linear(w, layer + ".0.to_out", attended), latents);
        const Matrix hidden = plain::map(
            plain::linear(w, layer + ".1.1", plain::norm(w, layer + ".1.0", latents)), plain::gelu);
        latents = plain::add(plain::linear(w, layer + ".1.3", hidden), latents);
    }
    return plain::norm(w, "image_proj.norm_out", plain::linear(w, "image_proj.proj_out", latents));
}

std::vector<float> random_values(std::size_t count, unsigned seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(engine);
    return values;
}

Matrix matrix(const std::vector<float>& values, std::size_t columns) {
    Matrix y(values.size() / columns, columns);
    for (std::size_t i = 0; i < values.size(); ++i) y.values[i] = static_cast<double>(values[i]);
    return y;
}

UNetConfig micro_unet_config() {
    UNetConfig unet;
    unet.block_out_channels = {32, 64, 128};
    unet.down_depths = {0, 1, 2};
    unet.mid_depth = 2;
    unet.up_depths = {2, 1, 0};
    unet.cross_attention_dim = 192;
    return unet;
}

class IpAdapterTest : public testing::TestWithParam<bool> {
  protected:
    static void SetUpTestSuite() {
        folder_ = fs::temp_directory_path() / ("sdxl_ip_adapter_test_" + std::to_string(::getpid()));
        write_micro_references(folder_);
    }
    static void TearDownTestSuite() { fs::remove_all(folder_); }

    IpAdapter adapter(const char* file) const {
        const IpAdapterCheckpoint checkpoint = open_ip_adapter(folder_ / "sdxl_models" / file);
        IpAdapter made(load_, checkpoint.weights, micro_unet_config());
        EXPECT_TRUE(checkpoint.weights.unused().empty());
        EXPECT_TRUE(checkpoint.warnings.empty());
        return made;
    }

    static inline fs::path folder_;
    std::unique_ptr<Backend> backend_ = GetParam() ? make_onednn_backend() : make_reference_backend();
    LoadContext load_{*backend_, DType::kF32};
    Context ctx_{*backend_, DType::kF32};
};

TEST_P(IpAdapterTest, TheVisionEncoderIsThatOfTransformers) {
    const ImageEncoderCheckpoint file = open_image_encoder(folder_ / "sdxl_models" / "image_encoder");
    const ClipVisionConfig config = check_against_json(detect_clip_vision_config(file.weights), file.config);
    EXPECT_EQ(config.heads, 4);
    EXPECT_EQ(config.image_size, 12);
    const ClipVisionModel model(load_, file.weights, config);
    EXPECT_TRUE(file.weights.unused().empty());
    const std::size_t size = std::size_t{12} * 12 * 3;
    const auto pixels = random_values(2 * size, 3);
    const Tensor both = ops::upload(ctx_, pixels, {2, 12, 12, 3});
    const auto hidden = ops::download(ctx_, model.hidden_states(ctx_, both));
    const auto embeds = ops::download(ctx_, model.image_embeds(ctx_, both));

    const PlainTensors w = micro_image_encoder();
    for (std::size_t n = 0; n < 2; ++n) {
        const auto begin = pixels.begin() + static_cast<std::ptrdiff_t>(n * size);
        Matrix x = vision_embeddings(w, {begin, begin + static_cast<std::ptrdiff_t>(size)});
        for (int i = 0; i < 2; ++i) x = vision_layer(w, i, x);
        const auto states = hidden.begin() + static_cast<std::ptrdiff_t>(n * 17 * 32);
        EXPECT_LE(plain::relative_error({states, states + 17 * 32}, x), kTolerance);
        const Matrix pooled = plain::norm(w, "vision_model.post_layernorm", vision_layer(w, 2, x).row(0));
        const auto vector = embeds.begin() + static_cast<std::ptrdiff_t>(n * 24);
        EXPECT_LE(plain::relative_error({vector, vector + 24}, plain::linear(w, "visual_projection", pooled)),
                  kTolerance);
    }
}

TEST_P(IpAdapterTest, AVectorBecomesTokens) {
    const IpAdapter base = adapter("ip-adapter_micro.safetensors");
    EXPECT_FALSE(base.input().hidden_states);
    EXPECT_EQ(base.input().channels, 24);
    EXPECT_EQ(base.tokens(), 4);
    const auto vector = random_values(24, 4);
    const PlainTensors w = micro_ip_adapter(MicroAdapter::kBase);
    const Matrix rows = plain::linear(w, "image_proj.proj", matrix(vector, 24));
    Matrix tokens(4, 192);
    tokens.values = rows.values;
    EXPECT_LE(plain::relative_error(
                  ops::download(ctx_, base.project_image(ctx_, ops::upload(ctx_, vector, {1, 24}))),
                  plain::norm(w, "image_proj.norm", tokens)),
              kTolerance);
}

TEST_P(IpAdapterTest, StatesAreResampled) {
    const IpAdapter plus = adapter("ip-adapter-plus_micro.safetensors");
    EXPECT_TRUE(plus.input().hidden_states);
    EXPECT_EQ(plus.tokens(), 5);
    const std::size_t size = std::size_t{17} * 32;
    const auto states = random_values(2 * size, 5);
    const auto found = ops::download(ctx_, plus.project_image(ctx_, ops::upload(ctx_, states, {2, 17, 32})));
    const PlainTensors w = micro_ip_adapter(MicroAdapter::kPlus);
    for (std::size_t n = 0; n < 2; ++n) {
        const auto begin = states.begin() + static_cast<std::ptrdiff_t>(n * size);
        const Matrix expected = resample(w, matrix({begin, begin + static_cast<std::ptrdiff_t>(size)}, 32));
        const auto tokens = found.begin() + static_cast<std::ptrdiff_t>(n * 5 * 192);
        EXPECT_LE(plain::relative_error({tokens, tokens + 5 * 192}, expected), kTolerance);
    }
}

// diffusers lists attention processors of its down blocks, up blocks and the middle; ours go down, middle,
// up.
TEST_P(IpAdapterTest, EveryAttentionHasItsOwnProjections) {
    const IpAdapter base = adapter("ip-adapter_micro.safetensors");
    const PlainTensors w = micro_ip_adapter(MicroAdapter::kBase);
    const auto tokens = random_values(std::size_t{4} * 192, 6);
    const auto kv = base.project_context(ctx_, ops::upload(ctx_, tokens, {1, 4, 192}));
    const std::vector<int> numbers{1, 3, 5, 7, 9, 11, 31, 33, 13, 15, 17, 19, 21, 23, 25, 27, 29};
    ASSERT_EQ(kv.size(), numbers.size());
    for (std::size_t i = 0; i < kv.size(); ++i) {
        const std::string name = "ip_adapter." + std::to_string(numbers[i]);
        const Matrix keys = plain::linear(w, name + ".to_k_ip", matrix(tokens, 192));
        const Matrix values = plain::linear(w, name + ".to_v_ip", matrix(tokens, 192));
        const Matrix found = matrix(ops::download(ctx_, kv[i]), keys.columns + values.columns);
        const auto error = [](const Matrix& part, const Matrix& expected) {
            return plain::relative_error({part.values.begin(), part.values.end()}, expected);
        };
        EXPECT_LE(error(found.part(0, keys.columns), keys), kTolerance) << name;
        EXPECT_LE(error(found.part(keys.columns, keys.columns), values), kTolerance) << name;
    }
}

// out = to_out(attention(q, k, v) + sum of scale * attention(q, k', v')): Ye et al. 2023, equation 5.
TEST_P(IpAdapterTest, AttentionIsDecoupled) {
    constexpr std::size_t kChannels = 64, kContext = 24;
    unsigned seed = 7;
    PlainTensors w;
    for (const auto& [name, in] :
         {std::pair{"to_q", kChannels}, {"to_k", kContext}, {"to_v", kContext}, {"to_out.0", kChannels}})
        w[std::string(name) + ".weight"] = {{kChannels, static_cast<std::int64_t>(in)},
                                            random_values(kChannels * in, seed++)};
    w["to_out.0.bias"] = {{kChannels}, random_values(kChannels, seed++)};
    const fs::path file = folder_ / "attention.safetensors";
    write_tensors(file, w);
    WeightMap weights("attention");
    for (const auto& [name, tensor] : open_tensor_files(file).tensors)
        weights.insert(name, tensor.view, tensor.bytes);
    const nn::CrossAttention attention(load_, WeightScope(weights), kChannels, kContext, 2,
                                       nn::kUNetAttention);

    const auto x = random_values(10 * kChannels, seed++), residual = random_values(10 * kChannels, seed++);
    const auto prompt = random_values(7 * kContext, seed++);
    const auto first = random_values(4 * 2 * kChannels, seed++),
               second = random_values(2 * kChannels, seed++);
    const Tensor kv = attention.project_context(ctx_, ops::upload(ctx_, prompt, {1, 7, kContext}));
    const auto up = [&](const std::vector<float>& values, std::int64_t length) {
        return ops::upload(ctx_, values, {1, length, static_cast<std::int64_t>(values.size()) / length});
    };
    const auto found = ops::download(
        ctx_, attention.forward(ctx_, up(x, 10), {kv, {{up(first, 4), 0.6F}, {up(second, 1), -0.3F}}},
                                up(residual, 10)));

    const Matrix q = plain::linear(w, "to_q", matrix(x, kChannels));
    Matrix sum = plain::attention(q, plain::linear(w, "to_k", matrix(prompt, kContext)),
                                  plain::linear(w, "to_v", matrix(prompt, kContext)), 2);
    const auto seen = [&](const std::vector<float>& values) {
        const Matrix both = matrix(values, 2 * kChannels);
        return plain::attention(q, both.part(0, kChannels), both.part(kChannels, kChannels), 2);
    };
    sum = plain::add(plain::add(sum, seen(first), 0.6), seen(second), -0.3);
    EXPECT_LE(plain::relative_error(
                  found, plain::add(plain::linear(w, "to_out.0", sum), matrix(residual, kChannels))),
              kTolerance);
}

INSTANTIATE_TEST_SUITE_P(OnBackends, IpAdapterTest, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "onednn" : "reference"; });

// ip-adapter_sdxl.safetensors: 140 tensors "ip_adapter.*", of which the first is 640 wide and number 101
// 1280.
TEST(IpAdapter, SdxlHasSeventyCrossAttentions) {
    const auto channels = cross_attention_channels(UNetConfig{});
    ASSERT_EQ(channels.size(), 70U);
    EXPECT_EQ(channels.front(), 640);
    EXPECT_EQ(channels[4], 1280);
    EXPECT_EQ(channels[63], 1280);
    EXPECT_EQ(channels[64], 640);
}

}  // namespace
}  // namespace sdxl
