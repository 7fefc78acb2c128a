// GroupNorm and LayerNorm: tensors "weight" and "bias", [C], kept in float32.
//
// Wu and He, "Group Normalization", 2018; Ba et al., "Layer Normalization", 2016.
#pragma once

#include <cstdint>

#include "ops/ops.h"
#include "weights/weight_scope.h"

namespace sdxl::nn {

class GroupNorm {
  public:
    GroupNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
              ops::GroupNormOptions options);

    // x [N, H, W, C] or [N, L, C]; shift float32 [N, C] is added to x first where defined.
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& shift = {}) const {
        return ops::group_norm(ctx, x, gamma_, beta_, options_, shift);
    }

  private:
    Tensor gamma_, beta_;
    ops::GroupNormOptions options_;
};

class LayerNorm {
  public:
    LayerNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels, float eps = 1e-5F);

    // x [..., C]
    Tensor forward(const Context& ctx, const Tensor& x) const {
        return ops::layer_norm(ctx, x, gamma_, beta_, eps_);
    }

  private:
    Tensor gamma_, beta_;
    float eps_;
};

}  // namespace sdxl::nn
