// FeedForward with GEGLU: net.0.proj, value * gelu(gate), net.2. Shazeer, "GLU Variants Improve Transformer",
// 2020.
#pragma once

#include <cstdint>

#include "nn/linear.h"

namespace sdxl::nn {

class FeedForward {
  public:
    // The inner extent is 4 * channels.
    FeedForward(const LoadContext& load, const WeightScope& scope, std::int64_t channels);

    // x [N, L, C] -> ff(x) + residual, [N, L, C]
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& residual) const;

  private:
    Slotted<ops::GegluWeight> proj_;
    Linear out_;
};

}  // namespace sdxl::nn
