#include "models/vae_blocks.h"

#include <utility>

namespace sdxl {
namespace {

nn::ResnetConfig resnet(const VaeConfig& config, std::int64_t in, std::int64_t out) {
    return {in, out, /*time_channels=*/0, config.norm_groups, config.norm_eps};
}

ops::GroupNormOptions norm(const VaeConfig& config, bool silu) {
    return {config.norm_groups, config.norm_eps, silu};
}

}  // namespace

VaeMidBlock::VaeMidBlock(const LoadContext& load, const WeightScope& scope, const VaeConfig& config)
    : resnet_0_(load, scope.sub("resnets", 0),
                resnet(config, config.block_out_channels.back(), config.block_out_channels.back())),
      norm_(load, scope.sub("attentions.0.group_norm"), config.block_out_channels.back(),
            norm(config, false)),
      attention_(load, scope.sub("attentions", 0), config.block_out_channels.back(), /*heads=*/1,
                 nn::kVaeAttention),
      resnet_1_(load, scope.sub("resnets", 1),
                resnet(config, config.block_out_channels.back(), config.block_out_channels.back())) {}

Tensor VaeMidBlock::forward(const Context& ctx, const Tensor& x) const {
    const Tensor first = resnet_0_.forward(ctx, x);                   // [N, h, w, C]
    const Shape tokens{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};      // [N, h * w, C]
    const Tensor normed = norm_.forward(ctx, first).reshape(tokens);  // [N, h * w, C]
    const Tensor attended = attention_.forward(ctx, normed, first.reshape(tokens));
    return resnet_1_.forward(ctx, attended.reshape(x.shape()));  // [N, h, w, C]
}

VaeEncoder::VaeEncoder(const LoadContext& load, const WeightScope& scope, const VaeConfig& config)
    : conv_in_(load, scope.sub("conv_in"), config.image_channels, config.block_out_channels.front()),
      mid_block_(load, scope.sub("mid_block"), config),
      conv_norm_out_(load, scope.sub("conv_norm_out"), config.block_out_channels.back(), norm(config, true)),
      conv_out_(load, scope.sub("conv_out"), config.block_out_channels.back(), 2 * config.latent_channels) {
    std::int64_t in = config.block_out_channels.front();
    for (std::size_t b = 0; b < config.block_out_channels.size(); ++b) {
        const WeightScope here = scope.sub("down_blocks", static_cast<int>(b));
        const std::int64_t out = config.block_out_channels[b];
        Block& block = down_blocks_.emplace_back();
        for (int i = 0; i < config.layers_per_block; ++i) {
            block.resnets.emplace_back(load, here.sub("resnets", i), resnet(config, i == 0 ? in : out, out));
        }
        if (b + 1 < config.block_out_channels.size()) {
            block.downsampler.emplace(load, here.sub("downsamplers", 0), out,
                                      nn::DownsamplePadding::kBottomRight);
        }
        in = out;
    }
}

Tensor VaeEncoder::shrink(const Context& ctx, const Tensor& image) const {
    Tensor x = conv_in_.forward(ctx, image);  // [N, H, W, C0]
    for (const Block& block : down_blocks_) {
        for (const auto& resnet_block : block.resnets) x = resnet_block.forward(ctx, x);
        if (block.downsampler) x = block.downsampler->forward(ctx, x);  // [N, H / 2, W / 2, C]
    }
    return x;
}

Tensor VaeEncoder::look_over(const Context& ctx, const Tensor& hidden) const {
    const Tensor x = mid_block_.forward(ctx, hidden);               // [N, H / 8, W / 8, C]
    return conv_out_.forward(ctx, conv_norm_out_.forward(ctx, x));  // [N, H / 8, W / 8, 2 * latent]
}

VaeDecoder::VaeDecoder(const LoadContext& load, const WeightScope& scope, const VaeConfig& config)
    : conv_in_(load, scope.sub("conv_in"), config.latent_channels, config.block_out_channels.back()),
      mid_block_(load, scope.sub("mid_block"), config),
      conv_norm_out_(load, scope.sub("conv_norm_out"), config.block_out_channels.front(), norm(config, true)),
      conv_out_(load, scope.sub("conv_out"), config.block_out_channels.front(), config.image_channels) {
    const std::size_t blocks = config.block_out_channels.size();
    std::int64_t in = config.block_out_channels.back();
    for (std::size_t b = 0; b < blocks; ++b) {
        const WeightScope here = scope.sub("up_blocks", static_cast<int>(b));
        const std::int64_t out = config.block_out_channels[blocks - 1 - b];
        Block& block = up_blocks_.emplace_back();
        for (int i = 0; i <= config.layers_per_block; ++i) {
            block.resnets.emplace_back(load, here.sub("resnets", i), resnet(config, i == 0 ? in : out, out));
        }
        if (b + 1 < blocks) block.upsampler.emplace(load, here.sub("upsamplers", 0), out);
        in = out;
    }
}

Tensor VaeDecoder::look_over(const Context& ctx, const Tensor& latent) const {
    return mid_block_.forward(ctx, conv_in_.forward(ctx, latent));  // [N, h, w, C]
}

Tensor VaeDecoder::enlarge(const Context& ctx, Tensor hidden) const {
    Tensor x = std::move(hidden);
    for (const Block& block : up_blocks_) {
        for (const auto& resnet_block : block.resnets) x = resnet_block.forward(ctx, x);
        if (block.upsampler)
            x = block.upsampler->forward(ctx, x, 2 * x.dim(1), 2 * x.dim(2));  // [N, 2 h, 2 w, C]
    }
    return conv_out_.forward(ctx, conv_norm_out_.forward(ctx, x));  // [N, 8 h, 8 w, image]
}

}  // namespace sdxl
