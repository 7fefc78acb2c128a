// ControlNet-Union and T2I-Adapter against second plain implementations in double precision, and where a UNet
// adds what they give. That a ControlNet is diffusers' own is checked by sdxl-golden modules (control.*).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"
#include "control_variants.h"
#include "core/error.h"
#include "models/controlnet.h"
#include "models/t2i_adapter.h"
#include "ops/ops.h"
#include "weights/checkpoint.h"
#include "weights/control_file.h"
#include "weights/owned_bytes.h"

namespace sdxl {
namespace {

using Doubles = std::vector<double>;

FileTensors as_file(const PlainTensors& tensors) {
    FileTensors file;
    for (const auto& [name, tensor] : tensors) {
        const auto* data = reinterpret_cast<const std::byte*>(tensor.values.data());
        const auto bytes = std::make_shared<const OwnedBytes>(
            "test", std::vector<std::byte>(data, data + tensor.values.size() * sizeof(float)));
        file[name] = {{bytes->bytes().data(), DType::kF32, Shape(tensor.shape), name}, bytes};
    }
    return file;
}

std::vector<float> ramp(std::size_t count, double step) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i)
        values[i] = static_cast<float>(std::sin(step * static_cast<double>(i + 1)));
    return values;
}

double relative_l2(const std::vector<float>& found, const Doubles& expected) {
    if (found.size() != expected.size()) return INFINITY;
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        error += std::pow(static_cast<double>(found[i]) - expected[i], 2);
        norm += expected[i] * expected[i];
    }
    return std::sqrt(error / norm);
}

// A picture [h, w, c] in double precision.
struct Picture {
    std::int64_t h, w, c;
    Doubles values;
    double at(std::int64_t y, std::int64_t x, std::int64_t channel) const {
        const bool inside = y >= 0 && y < h && x >= 0 && x < w;
        return inside ? values[static_cast<std::size_t>((y * w + x) * c + channel)] : 0;
    }
};

// torch.nn.Conv2d of stride 1 that keeps the size.
Picture convolve(const Picture& in, const PlainTensors& weights, const std::string& name) {
    const PlainTensor& weight = weights.at(name + ".weight");
    const PlainTensor& bias = weights.at(name + ".bias");
    const std::int64_t kernel = weight.shape[2], side = kernel / 2, channels = weight.shape[1];
    Picture out{in.h, in.w, weight.shape[0], {}};
    for (std::int64_t y = 0; y < in.h; ++y)
        for (std::int64_t x = 0; x < in.w; ++x)
            for (std::int64_t o = 0; o < out.c; ++o) {
                double sum = static_cast<double>(bias.values[static_cast<std::size_t>(o)]);
                for (std::int64_t i = 0; i < channels; ++i)
                    for (std::int64_t k = 0; k < kernel * kernel; ++k)
                        sum += static_cast<double>(weight.values[static_cast<std::size_t>(
                                   (o * channels + i) * kernel * kernel + k)]) *
                               in.at(y + k / kernel - side, x + k % kernel - side, i);
                out.values.push_back(sum);
            }
    return out;
}

Doubles linear(const Doubles& x, const PlainTensor& weight, const PlainTensor& bias, std::size_t first = 0,
               std::size_t rows = 0) {
    const auto columns = static_cast<std::size_t>(weight.shape[1]);
    if (rows == 0) rows = static_cast<std::size_t>(weight.shape[0]);
    Doubles y;
    for (std::size_t row = first; row < first + rows; ++row) {
        double sum = static_cast<double>(bias.values[row]);
        for (std::size_t i = 0; i < columns; ++i)
            sum += static_cast<double>(weight.values[row * columns + i]) * x[i];
        y.push_back(sum);
    }
    return y;
}
Doubles linear(const Doubles& x, const PlainTensors& weights, const std::string& name) {
    return linear(x, weights.at(name + ".weight"), weights.at(name + ".bias"));
}

Doubles layer_norm(const Doubles& x, const PlainTensors& weights, const std::string& name) {
    double mean = 0, variance = 0;
    for (const double value : x) mean += value / static_cast<double>(x.size());
    for (const double value : x) variance += (value - mean) * (value - mean) / static_cast<double>(x.size());
    Doubles y;
    for (std::size_t i = 0; i < x.size(); ++i)
        y.push_back((x[i] - mean) / std::sqrt(variance + 1e-5) *
                        static_cast<double>(weights.at(name + ".weight").values[i]) +
                    static_cast<double>(weights.at(name + ".bias").values[i]));
    return y;
}

void add_to(Doubles& sum, const Doubles& x) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
}

// torch.nn.MultiheadAttention over a few tokens.
std::vector<Doubles> attend(const std::vector<Doubles>& x, const PlainTensors& weights,
                            const std::string& name, std::size_t heads) {
    const PlainTensor& in = weights.at(name + ".in_proj_weight");
    const PlainTensor& bias = weights.at(name + ".in_proj_bias");
    const std::size_t width = x.front().size(), size = width / heads;
    std::vector<Doubles> q, k, v, out;
    for (const Doubles& token : x) {
        q.push_back(linear(token, in, bias, 0, width));
        k.push_back(linear(token, in, bias, width, width));
        v.push_back(linear(token, in, bias, 2 * width, width));
    }
    for (const Doubles& query : q) {
        Doubles attended(width, 0.0);
        for (std::size_t head = 0; head < heads; ++head) {
            Doubles scores;
            double sum = 0;
            for (const Doubles& key : k) {
                double dot = 0;
                for (std::size_t i = head * size; i < (head + 1) * size; ++i) dot += query[i] * key[i];
                scores.push_back(std::exp(dot / std::sqrt(static_cast<double>(size))));
                sum += scores.back();
            }
            for (std::size_t t = 0; t < x.size(); ++t)
                for (std::size_t i = head * size; i < (head + 1) * size; ++i)
                    attended[i] += scores[t] / sum * v[t][i];
        }
        out.push_back(linear(attended, weights, name + ".out_proj"));
    }
    return out;
}

// diffusers' ResidualAttentionBlock.
std::vector<Doubles> transform(std::vector<Doubles> x, const PlainTensors& weights) {
    const std::string layer = "transformer_layes.0.";
    std::vector<Doubles> normed;
    for (const Doubles& token : x) normed.push_back(layer_norm(token, weights, layer + "ln_1"));
    const auto attended = attend(normed, weights, layer + "attn", 8);
    for (std::size_t t = 0; t < x.size(); ++t) {
        add_to(x[t], attended[t]);
        Doubles inner = linear(layer_norm(x[t], weights, layer + "ln_2"), weights, layer + "mlp.c_fc");
        for (double& value : inner) value /= 1 + std::exp(-1.702 * value);
        add_to(x[t], linear(inner, weights, layer + "mlp.c_proj"));
    }
    return x;
}

Doubles mean_of(const Picture& picture) {
    Doubles mean(static_cast<std::size_t>(picture.c), 0.0);
    for (std::size_t i = 0; i < picture.values.size(); ++i)
        mean[i % mean.size()] += picture.values[i] / static_cast<double>(picture.h * picture.w);
    return mean;
}

// The first residual of a union (ControlNetUnionModel.forward, steps 2 and 5): latents through conv_in, the
// hints' features and their biases added, through the first zero convolution.
Doubles first_residual(const PlainTensors& weights, const Picture& latent,
                       const std::vector<std::pair<Picture, int>>& hints) {
    const Picture sample = convolve(latent, weights, "conv_in");
    const PlainTensor& tasks = weights.at("task_embedding");
    std::vector<Doubles> tokens;
    for (const auto& [features, type] : hints) {
        Doubles token = mean_of(features);
        for (std::size_t i = 0; i < token.size(); ++i)
            token[i] += static_cast<double>(tasks.values[static_cast<std::size_t>(type) * token.size() + i]);
        tokens.push_back(std::move(token));
    }
    tokens.push_back(mean_of(sample));
    const auto seen = transform(tokens, weights);
    Picture sum = sample;
    for (std::size_t t = 0; t < hints.size(); ++t) {
        const Doubles alpha = linear(seen[t], weights, "spatial_ch_projs");
        for (std::size_t i = 0; i < sum.values.size(); ++i)
            sum.values[i] += hints[t].first.values[i] + alpha[i % alpha.size()];
    }
    return convolve(sum, weights, "controlnet_down_blocks.0").values;
}

Picture as_picture(const Tensor& x, const std::vector<float>& values, std::int64_t entry = 0) {
    const auto size = x.dim(1) * x.dim(2) * x.dim(3);
    const auto begin = values.begin() + entry * size;
    return {x.dim(1), x.dim(2), x.dim(3), Doubles(begin, begin + size)};
}

class ControlModelsTest : public testing::TestWithParam<bool> {
  protected:
    std::unique_ptr<Backend> backend_ = GetParam() ? make_reference_backend() : make_onednn_backend();
    LoadContext load_{*backend_, DType::kF32};
    Context ctx_{*backend_, DType::kF32};
    double limit_ = 1e-5;
};

TEST_P(ControlModelsTest, AUnionWeighsItsHintsAsDiffusersDoes) {
    for (const std::int64_t types : {6, 8}) {
        const PlainTensors weights = micro_union(types);
        const ControlCheckpoint file = read_control(as_file(weights), "union");
        EXPECT_EQ(file.kind, ControlKind::kUnion);
        const auto config = detect_controlnet_config(file.weights);
        EXPECT_EQ(config.control_types, types);
        const ControlNetModel net(load_, file.weights, config);
        EXPECT_TRUE(file.weights.unused().empty());
        const Tensor latent = ops::upload(ctx_, ramp(2 * 4 * 6 * 4, 0.37), {2, 4, 6, 4});
        const Tensor context = ops::upload(ctx_, ramp(2 * 3 * 192, 0.11), {2, 3, 192});
        const Tensor pooled = ops::upload(ctx_, ramp(2 * 128, 0.21), {2, 128});
        const std::vector<float> times{700, 200};
        const std::vector<float> ids(12, 64);
        const auto last = static_cast<int>(types) - 1;
        for (const std::vector<int>& used : {std::vector{3}, std::vector{1, last}, std::vector{last, 0, 4}}) {
            std::vector<HintFeatures> hints;
            std::vector<std::pair<Picture, int>> plain;
            for (const int type : used) {
                const Tensor picture =
                    ops::upload(ctx_, ramp(32 * 48 * 3, 0.01 + 0.1 * type), {1, 32, 48, 3});
                hints.push_back(net.embed_hint(ctx_, picture, type));
                const Tensor& features = hints.back().features;
                plain.emplace_back(as_picture(features, ops::download(ctx_, features)), type);
            }
            const auto conditioning = net.prepare_conditioning(ctx_, context, pooled, ids, used);
            const auto residuals = net.forward(ctx_, latent, hints, times, conditioning);
            const auto latents = ops::download(ctx_, latent);
            Doubles expected;
            for (std::int64_t entry : {0, 1}) {
                const Doubles one = first_residual(weights, as_picture(latent, latents, entry), plain);
                expected.insert(expected.end(), one.begin(), one.end());
            }
            EXPECT_LE(relative_l2(ops::download(ctx_, residuals.down[0]), expected), limit_)
                << types << " types, " << used.size() << " hints";
        }
    }
}

// The rest of a union is a ControlNet, but that the time embedding knows the types.
TEST_P(ControlModelsTest, AUnionsTimeEmbeddingKnowsTheTypes) {
    const PlainTensors weights = micro_union(6);
    const ControlCheckpoint file = read_control(as_file(weights), "union");
    const ControlNetModel net(load_, file.weights, detect_controlnet_config(file.weights));
    const ControlCheckpoint plain_file = read_control(as_file(micro_controlnet()), "net");
    const ControlNetModel plain(load_, plain_file.weights, detect_controlnet_config(plain_file.weights));
    const Tensor context = ops::upload(ctx_, ramp(3 * 192, 0.11), {1, 3, 192});
    const Tensor pooled = ops::upload(ctx_, ramp(128, 0.21), {1, 128});
    const std::vector<float> ids(6, 64);
    Doubles expected;
    for (const float value :
         ops::download(ctx_, plain.prepare_conditioning(ctx_, context, pooled, ids, {}).add_embedding))
        expected.push_back(static_cast<double>(value));
    Doubles sinusoids;  // of 0 or 1 for each type: cosines, then sines
    for (int type = 0; type < 6; ++type)
        for (int i = 0; i < 256; ++i) {
            const double angle = (type == 2 || type == 5 ? 1.0 : 0.0) * std::pow(10000.0, -(i % 128) / 128.0);
            sinusoids.push_back(i < 128 ? std::cos(angle) : std::sin(angle));
        }
    Doubles inner = linear(sinusoids, weights, "control_add_embedding.linear_1");
    for (double& value : inner) value /= 1 + std::exp(-value);
    add_to(expected, linear(inner, weights, "control_add_embedding.linear_2"));
    const auto known = net.prepare_conditioning(ctx_, context, pooled, ids, std::vector{2, 5}).add_embedding;
    EXPECT_LE(relative_l2(ops::download(ctx_, known), expected), limit_);
}

// FullAdapterXL in double precision: a state for each level.
std::vector<Picture> adapter_states(const PlainTensors& weights, const Picture& picture) {
    Picture in{(picture.h + 15) / 16, (picture.w + 15) / 16, picture.c * 256, {}};
    for (std::int64_t y = 0; y < in.h; ++y)
        for (std::int64_t x = 0; x < in.w; ++x)
            for (std::int64_t c = 0; c < in.c; ++c)  // PixelUnshuffle: channel c * 256 + row * 16 + column
                in.values.push_back(picture.at(std::min(y * 16 + c % 256 / 16, picture.h - 1),
                                               std::min(x * 16 + c % 16, picture.w - 1), c / 256));
    Picture x = convolve(in, weights, "adapter.conv_in");
    std::vector<Picture> states;
    for (int i = 0; i < 4; ++i) {
        const std::string level = "adapter.body." + std::to_string(i) + ".";
        if (i == 2) {  // AvgPool2d(2, ceil_mode=True)
            Picture half{(x.h + 1) / 2, (x.w + 1) / 2, x.c, {}};
            for (std::int64_t row = 0; row < half.h; ++row)
                for (std::int64_t column = 0; column < half.w; ++column)
                    for (std::int64_t c = 0; c < half.c; ++c) {
                        double sum = 0;
                        int count = 0;
                        for (std::int64_t y = 2 * row; y < std::min(2 * row + 2, x.h); ++y)
                            for (std::int64_t k = 2 * column; k < std::min(2 * column + 2, x.w); ++k, ++count)
                                sum += x.at(y, k, c);
                        half.values.push_back(sum / count);
                    }
            x = half;
        }
        if (weights.contains(level + "in_conv.weight")) x = convolve(x, weights, level + "in_conv");
        for (const char* resnet : {"resnets.0.", "resnets.1."}) {
            Picture inner = convolve(x, weights, level + resnet + "block1");
            for (double& value : inner.values) value = std::max(value, 0.0);
            inner = convolve(inner, weights, level + resnet + "block2");
            add_to(x.values, inner.values);
        }
        states.push_back(x);
    }
    return states;
}

TEST_P(ControlModelsTest, AT2IAdapterIsFullAdapterXL) {
    constexpr std::int64_t kHeight = 40, kWidth = 80;  // neither is a multiple of 32, one none of 16
    for (const std::int64_t channels : {3, 1}) {
        const PlainTensors weights = micro_t2i_adapter(channels);
        const auto count = static_cast<std::size_t>(kHeight * kWidth * channels);
        const auto values = ramp(count, 0.013);
        const auto expected =
            adapter_states(weights, {kHeight, kWidth, channels, Doubles(values.begin(), values.end())});
        for (const bool original : {false, true}) {
            const PlainTensors named = original ? in_original_t2i_layout(weights) : weights;
            const ControlCheckpoint file = read_control(as_file(named), "adapter");
            ASSERT_EQ(file.kind, ControlKind::kT2IAdapter);
            const T2IAdapter adapter(load_, file.weights, detect_t2i_adapter_config(file.weights));
            EXPECT_TRUE(file.weights.unused().empty());
            const auto unshuffled = pixel_unshuffle(values, kHeight, kWidth, channels);
            const auto states =
                adapter.forward(ctx_, ops::upload(ctx_, unshuffled, {1, 3, 5, channels * 256}));
            ASSERT_EQ(states.size(), expected.size());
            for (std::size_t i = 0; i < states.size(); ++i) {
                EXPECT_EQ(states[i].shape(), (Shape{1, expected[i].h, expected[i].w, expected[i].c}));
                EXPECT_LE(relative_l2(ops::download(ctx_, states[i]), expected[i].values), limit_) << i;
            }
        }
    }
}

// Where UNet2DConditionModel adds down_intrablock_additional_residuals.
TEST_P(ControlModelsTest, StatesAreAddedInsideTheDownBlocks) {
    const Checkpoint checkpoint = open_checkpoint(std::filesystem::path(SDXL_FIXTURES) / "micro");
    const UNetConfig config = detect_unet_config(checkpoint.unet);
    const WeightScope blocks(checkpoint.unet);
    const Tensor time_silu = ops::upload(ctx_, ramp(128, 0.3), {1, 128});
    const Tensor context = ops::upload(ctx_, ramp(3 * 192, 0.11), {1, 3, 192});
    // Without attention: to the block's output, and so to the last skip connection.
    const UNetDownBlock first(load_, blocks.sub("down_blocks", 0), config, 0);
    const Tensor x = ops::upload(ctx_, ramp(4 * 6 * 32, 0.7), {1, 4, 6, 32});
    const Tensor state = ops::upload(ctx_, ramp(2 * 3 * 32, 0.9), {1, 2, 3, 32});
    ContextReader none({});
    std::vector<Tensor> skips, with_skips;
    const Tensor y = first.forward(ctx_, x, time_silu, none, skips);
    const Tensor with = first.forward(ctx_, x, time_silu, none, with_skips, state);
    const auto values = [&](const Tensor& tensor) { return ops::download(ctx_, tensor); };
    EXPECT_EQ(values(with), values(ops::add(ctx_, y, state)));
    EXPECT_EQ(values(with_skips[2]), values(with));
    EXPECT_EQ(values(with_skips[0]), values(skips[0]));
    EXPECT_EQ(values(with_skips[1]), values(skips[1]));
    // With attention: to the last layer's output, before it is made smaller.
    const UNetDownBlock second(load_, blocks.sub("down_blocks", 1), config, 1);
    const nn::Downsample2D smaller(load_, blocks.sub("down_blocks", 1).sub("downsamplers", 0), 64,
                                   nn::DownsamplePadding::kSymmetric);
    std::vector<Tensor> kv;
    second.project_context(ctx_, context, kv);
    const Tensor wide = ops::upload(ctx_, ramp(2 * 3 * 64, 0.8), {1, 2, 3, 64});
    ContextReader reader(kv), again(kv);
    skips.clear();
    with_skips.clear();
    second.forward(ctx_, y, time_silu, reader, skips);
    const Tensor down = second.forward(ctx_, y, time_silu, again, with_skips, wide);
    EXPECT_EQ(values(with_skips[0]), values(skips[0]));
    EXPECT_EQ(values(with_skips[1]), values(ops::add(ctx_, skips[1], wide)));
    EXPECT_EQ(values(down), values(smaller.forward(ctx_, with_skips[1])));
}

// The fourth state of an XL adapter goes where a ControlNet's residual for the middle goes.
TEST_P(ControlModelsTest, TheLastStateIsAddedBehindTheMiddleBlock) {
    const Checkpoint checkpoint = open_checkpoint(std::filesystem::path(SDXL_FIXTURES) / "micro");
    const UNet2DConditionModel unet(load_, checkpoint.unet, detect_unet_config(checkpoint.unet));
    const Tensor latent = ops::upload(ctx_, ramp(8 * 8 * 4, 0.37), {1, 8, 8, 4});
    const auto conditioning =
        unet.prepare_conditioning(ctx_, ops::upload(ctx_, ramp(3 * 192, 0.11), {1, 3, 192}),
                                  ops::upload(ctx_, ramp(128, 0.21), {1, 128}), std::vector<float>(6, 64));
    const std::vector<float> times{500};
    const Tensor state = ops::upload(ctx_, ramp(2 * 2 * 128, 0.9), {1, 2, 2, 128});
    UNetOptions adapter, middle;
    adapter.control.adapter = {{}, {}, {}, state};
    middle.control.mid = state;
    const auto found = ops::download(ctx_, unet.forward(ctx_, latent, times, conditioning, adapter));
    EXPECT_EQ(found, ops::download(ctx_, unet.forward(ctx_, latent, times, conditioning, middle)));
    EXPECT_NE(found, ops::download(ctx_, unet.forward(ctx_, latent, times, conditioning)));
}

// As diffusers/controlnet-canny-sdxl-1.0-small: no attention at all, one resnet in the middle.
TEST_P(ControlModelsTest, ASmallControlNetHasNoAttention) {
    PlainTensors weights = micro_controlnet();
    std::erase_if(weights, [](const auto& tensor) {
        return tensor.first.find(".attentions.") != std::string::npos ||
               tensor.first.rfind("mid_block.resnets.1.", 0) == 0;
    });
    const ControlCheckpoint file = read_control(as_file(weights), "small");
    const auto config = detect_controlnet_config(file.weights);
    EXPECT_NO_THROW(check_against_json(config, R"({"mid_block_type": "UNetMidBlock2D",
        "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D"]})"));
    const ControlNetModel net(load_, file.weights, config);
    EXPECT_TRUE(file.weights.unused().empty());
    const Tensor latent = ops::upload(ctx_, ramp(4 * 4 * 4, 0.37), {1, 4, 4, 4});
    const auto conditioning =
        net.prepare_conditioning(ctx_, ops::upload(ctx_, ramp(3 * 192, 0.11), {1, 3, 192}),
                                 ops::upload(ctx_, ramp(128, 0.21), {1, 128}), std::vector<float>(6, 64), {});
    EXPECT_TRUE(conditioning.kv.empty());
    const HintFeatures hint = net.embed_hint(ctx_, ops::upload(ctx_, ramp(32 * 32 * 3, 0.1), {1, 32, 32, 3}));
    const auto residuals =
        net.forward(ctx_, latent, std::span(&hint, 1), std::vector<float>{500}, conditioning);
    EXPECT_EQ(residuals.down.size(), 9U);
    EXPECT_EQ(residuals.mid.shape(), (Shape{1, 1, 1, 128}));
}

INSTANTIATE_TEST_SUITE_P(Backends, ControlModelsTest, testing::Values(true, false),
                         [](const auto& which) { return which.param ? "reference" : "onednn"; });

}  // namespace
}  // namespace sdxl
