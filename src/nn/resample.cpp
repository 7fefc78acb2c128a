#include "nn/resample.h"

namespace sdxl::nn {
namespace {

Conv2dOptions downsample_options(DownsamplePadding padding) {
    if (padding == DownsamplePadding::kSymmetric) return {3, 2, {1, 1, 1, 1}};
    return {3, 2, {.top = 0, .left = 0, .bottom = 1, .right = 1}};
}

}  // namespace

Downsample2D::Downsample2D(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                           DownsamplePadding padding)
    : conv_(load, scope.sub("conv"), channels, channels, downsample_options(padding)) {}

Upsample2D::Upsample2D(const LoadContext& load, const WeightScope& scope, std::int64_t channels)
    : conv_(load, scope.sub("conv"), channels, channels) {}

Tensor Upsample2D::forward(const Context& ctx, const Tensor& x, std::int64_t height,
                           std::int64_t width) const {
    return conv_.forward(ctx, ops::upsample_nearest2x(ctx, x, height, width));  // [N, height, width, C]
}

}  // namespace sdxl::nn
