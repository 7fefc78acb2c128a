// Conv2d: torch.nn.Conv2d on channels-last pictures. Tensors "weight" [out, in, k, k] and, unless it has
// none, "bias" [out].
//
// A 1 x 1 convolution of stride 1 is a linear over [N * H * W, C], and is prepared as one.
#pragma once

#include <cstdint>
#include <optional>

#include "nn/linear.h"

namespace sdxl::nn {

struct Conv2dOptions {
    std::int64_t kernel = 3;
    int stride = 1;
    Padding padding{1, 1, 1, 1};
    bool bias = true;
};

inline constexpr Conv2dOptions kConv1x1{1, 1, {}, true};

class Conv2d {
  public:
    Conv2d(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out,
           const Conv2dOptions& options = {});

    // x [N, H, W, in] -> [N, H', W', out]; residual, where defined, has the result's shape.
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& residual = {}) const;

  private:
    std::optional<Slotted<ops::LinearWeight>> pointwise_;
    std::optional<Slotted<ops::ConvWeight>> spatial_;
};

}  // namespace sdxl::nn
