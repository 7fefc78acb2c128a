// GroupNorm and LayerNorm: tensors "weight" and "bias", [C], kept in float32.
//
// Wu and He, "Group Normalization", 2018; Ba et al., "Layer Normalization", 2016.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/ops.h"
#include "ops/slot.h"
#include "weights/weight_scope.h"

namespace sdxl::nn {

struct NormWeights {
    Tensor gamma, beta;  // float32 [C]

    std::uint64_t digest(Backend& backend) const {
        const auto of = [&](const Tensor& x, std::uint64_t seed) {
            const auto values = backend.download(x);
            return digest_of(std::as_bytes(std::span(values)), seed);
        };
        return of(beta, of(gamma, 0));
    }
    std::size_t bytes() const { return static_cast<std::size_t>(2 * gamma.dim(0)) * sizeof(float); }
};

class GroupNorm {
  public:
    GroupNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
              ops::GroupNormOptions options);

    // x [N, H, W, C] or [N, L, C]; shift float32 [N, C] is added to x first where defined.
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& shift = {}) const {
        return ops::group_norm(ctx, x, weights_->gamma, weights_->beta, options_, shift);
    }

  private:
    Slotted<NormWeights> weights_;
    ops::GroupNormOptions options_;
};

class LayerNorm {
  public:
    LayerNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels, float eps = 1e-5F);

    // x [..., C]
    Tensor forward(const Context& ctx, const Tensor& x) const {
        return ops::layer_norm(ctx, x, weights_->gamma, weights_->beta, eps_);
    }

  private:
    Slotted<NormWeights> weights_;
    float eps_;
};

}  // namespace sdxl::nn
