// Downsample2D and Upsample2D, each with its convolution ("conv").
#pragma once

#include <cstdint>

#include "nn/conv2d.h"

namespace sdxl::nn {

enum class DownsamplePadding {
    kSymmetric,   // one pixel on every side (UNet)
    kBottomRight  // one pixel below and to the right (autoencoder)
};

class Downsample2D {
  public:
    Downsample2D(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                 DownsamplePadding padding);

    // x [N, H, W, C] -> [N, ceil(H / 2), ceil(W / 2), C] with kSymmetric, rounded down with kBottomRight
    Tensor forward(const Context& ctx, const Tensor& x) const { return conv_.forward(ctx, x); }

  private:
    Conv2d conv_;
};

class Upsample2D {
  public:
    Upsample2D(const LoadContext& load, const WeightScope& scope, std::int64_t channels);

    // x [N, H, W, C] -> [N, height, width, C]; height is 2H or 2H - 1, width 2W or 2W - 1
    Tensor forward(const Context& ctx, const Tensor& x, std::int64_t height, std::int64_t width) const;

  private:
    Conv2d conv_;
};

}  // namespace sdxl::nn
