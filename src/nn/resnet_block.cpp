#include "nn/resnet_block.h"

#include "nn/embeddings.h"

namespace sdxl::nn {

ResnetBlock2D::ResnetBlock2D(const LoadContext& load, const WeightScope& scope, const ResnetConfig& config)
    : norm1_(load, scope.sub("norm1"), config.in, {config.norm_groups, config.norm_eps, true}),
      conv1_(load, scope.sub("conv1"), config.in, config.out),
      norm2_(load, scope.sub("norm2"), config.out, {config.norm_groups, config.norm_eps, true}),
      conv2_(load, scope.sub("conv2"), config.out, config.out) {
    if (config.time_channels > 0) {
        time_emb_proj_.emplace(unquantized(load), scope.sub("time_emb_proj"), config.time_channels,
                               config.out);
    }
    if (config.in != config.out) {
        conv_shortcut_.emplace(load, scope.sub("conv_shortcut"), config.in, config.out, kConv1x1);
    }
}

Tensor ResnetBlock2D::forward(const Context& ctx, const Tensor& x, const Tensor& time_silu) const {
    Tensor hidden = conv1_.forward(ctx, norm1_.forward(ctx, x));  // [N, H, W, out]
    Tensor shift;
    if (time_emb_proj_) {
        shift = ops::cast(ctx, time_emb_proj_->forward(ctx, time_silu), DType::kF32);  // [N, out]
    }
    hidden = norm2_.forward(ctx, hidden, shift);                                   // [N, H, W, out]
    const Tensor residual = conv_shortcut_ ? conv_shortcut_->forward(ctx, x) : x;  // [N, H, W, out]
    return conv2_.forward(ctx, hidden, residual);                                  // [N, H, W, out]
}

}  // namespace sdxl::nn
