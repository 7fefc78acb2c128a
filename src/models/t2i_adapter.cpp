#include "models/t2i_adapter.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "models/config_check.h"
#include "models/weight_shapes.h"
#include "ops/ops.h"

namespace sdxl {
namespace {

constexpr const char* kKind = "a T2I-Adapter for SDXL";
constexpr int kLevels = 4;
constexpr int kDownLevel = 2;  // the only level of SDXL's that is smaller than the one before

std::string level_name(int level) {
    return "body." + std::to_string(level) + ".";
}

// torch's AvgPool2d(2, ceil_mode=True): the mean of what lies inside. x [1, H, W, C] -> [1, ceil(H / 2),
// ...]. On the host: it runs once a generation, on a small picture.
Tensor mean_of_four(const Context& ctx, const Tensor& x) {
    const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3);
    const std::int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
    const std::vector<float> values = ops::download(ctx, x);
    std::vector<float> means(static_cast<std::size_t>(rows * columns * channels), 0.F);
    std::vector<float> weights(static_cast<std::size_t>(rows * columns), 0.F);
    for (std::int64_t row = 0; row < height; ++row)
        for (std::int64_t column = 0; column < width; ++column) {
            const std::int64_t place = row / 2 * columns + column / 2;
            weights[static_cast<std::size_t>(place)] += 1.F;
            for (std::int64_t c = 0; c < channels; ++c)
                means[static_cast<std::size_t>(place * channels + c)] +=
                    values[static_cast<std::size_t>((row * width + column) * channels + c)];
        }
    for (std::size_t i = 0; i < means.size(); ++i)
        means[i] /= weights[i / static_cast<std::size_t>(channels)];
    return ops::upload(ctx, means, {1, rows, columns, channels});
}

nn::Conv2dOptions kernel_of(const Shape& weight) {
    if (weight[2] != 1 && weight[2] != 3)
        fail(ErrorCode::kInvalidModel, "t2i_adapter: a convolution has the shape " + weight.str() +
                                           ", expected kernels of 1 x 1 or 3 x 3: not " + kKind);
    const auto side = static_cast<int>(weight[2] / 2);
    return {.kernel = weight[2], .padding = {side, side, side, side}};
}

}  // namespace

T2IAdapterConfig detect_t2i_adapter_config(const WeightMap& weights) {
    T2IAdapterConfig config;
    const Shape& in = shape_at(weights, "conv_in.weight", 4, kKind);
    config.picture_channels = in[1] / (T2IAdapter::kUnshuffle * T2IAdapter::kUnshuffle);
    config.channels.clear();
    const int levels = count_of(weights, "body.", ".resnets.0.block1.weight");
    for (int i = 0; i < levels; ++i)
        config.channels.push_back(shape_at(weights, level_name(i) + "resnets.0.block1.weight", 4, kKind)[0]);
    config.resnets_per_level = count_of(weights, "body.0.resnets.", ".block1.weight");
    const bool fits = (config.picture_channels == 1 || config.picture_channels == 3) &&
                      in[1] == config.picture_channels * T2IAdapter::kUnshuffle * T2IAdapter::kUnshuffle;
    if (levels != kLevels || !fits)
        fail(ErrorCode::kInvalidModel, weights.component() + ": it has " + std::to_string(levels) +
                                           " levels and takes " + std::to_string(in[1]) +
                                           " channels, expected 4 and 768 or 256: not " + kKind);
    return config;
}

void check_against_json(const T2IAdapterConfig& config, std::string_view json) {
    const ConfigCheck check("t2i_adapter", json);
    check.expect("adapter_type", "full_adapter_xl");
    check.expect("in_channels", config.picture_channels);
    check.expect("channels", config.channels);
    check.expect("num_res_blocks", config.resnets_per_level);
    check.expect("downscale_factor", T2IAdapter::kUnshuffle);
}

T2IAdapter::T2IAdapter(const LoadContext& load, const WeightMap& weights, const T2IAdapterConfig& config)
    : config_(config),
      conv_in_(load, WeightScope(weights).sub("conv_in"), config.picture_channels * kUnshuffle * kUnshuffle,
               config.channels.front()) {
    std::int64_t before = config.channels.front();
    for (int i = 0; i < kLevels; ++i) {
        const WeightScope scope = WeightScope(weights).sub("body", i);
        const std::int64_t channels = config.channels[static_cast<std::size_t>(i)];
        Level level;
        level.down = i == kDownLevel;
        if (level.down && scope.has("down_opt.op.weight"))
            level.down_opt.emplace(load, scope.sub("down_opt").sub("op"), before, before,
                                   nn::Conv2dOptions{.stride = 2});
        if (channels != before)
            level.in_conv.emplace(load, scope.sub("in_conv"), before, channels,
                                  kernel_of(shape_at(weights, level_name(i) + "in_conv.weight", 4, kKind)));
        for (int j = 0; j < config.resnets_per_level; ++j) {
            const WeightScope resnet = scope.sub("resnets", j);
            const Shape& second = shape_at(weights, resnet.path("block2.weight"), 4, kKind);
            level.resnets.push_back(
                {nn::Conv2d(load, resnet.sub("block1"), channels, channels),
                 nn::Conv2d(load, resnet.sub("block2"), channels, channels, kernel_of(second))});
        }
        body_.push_back(std::move(level));
        before = channels;
    }
}

std::vector<Tensor> T2IAdapter::forward(const Context& ctx, const Tensor& picture) const {
    Tensor x = conv_in_.forward(ctx, ops::cast(ctx, picture, ctx.compute));  // [1, H / 16, W / 16, C0]
    std::vector<Tensor> states;
    for (const Level& level : body_) {
        if (level.down) x = level.down_opt ? level.down_opt->forward(ctx, x) : mean_of_four(ctx, x);
        if (level.in_conv) x = level.in_conv->forward(ctx, x);  // [1, h, w, C]
        for (const Resnet& resnet : level.resnets) {
            const Tensor inner = ops::activate(ctx, resnet.block1.forward(ctx, x), Activation::kRelu);
            x = resnet.block2.forward(ctx, inner, x);  // [1, h, w, C]
        }
        states.push_back(x);
    }
    return states;
}

std::vector<float> pixel_unshuffle(const std::vector<float>& values, std::int64_t height, std::int64_t width,
                                   std::int64_t channels) {
    constexpr std::int64_t kSide = T2IAdapter::kUnshuffle;
    const std::int64_t rows = (height + kSide - 1) / kSide, columns = (width + kSide - 1) / kSide;
    std::vector<float> result;
    result.reserve(static_cast<std::size_t>(rows * columns * channels * kSide * kSide));
    for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t column = 0; column < columns; ++column)
            for (std::int64_t c = 0; c < channels; ++c)
                for (std::int64_t i = 0; i < kSide * kSide; ++i) {
                    const std::int64_t y = std::min(row * kSide + i / kSide, height - 1);
                    const std::int64_t x = std::min(column * kSide + i % kSide, width - 1);
                    result.push_back(values[static_cast<std::size_t>((y * width + x) * channels + c)]);
                }
    return result;
}

}  // namespace sdxl
