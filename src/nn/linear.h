// Linear: y = x W^T + b. Tensors "weight" and "bias" of its scope.
//
// Like every module: the constructor binds, checks and packs the weights once; forward keeps no state and may
// be called by whoever owns the backend's thread. Copies share the packed weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/ops.h"
#include "ops/slot.h"
#include "weights/weight_scope.h"

namespace sdxl::nn {

struct LinearOptions {
    bool bias = true;
    bool pointwise_conv = false;  // the file holds a 1 x 1 convolution, [out, in, 1, 1]
};

class Linear {
  public:
    Linear(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out,
           LinearOptions options = {});

    // x [..., in] -> [..., out]
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& residual = {},
                   Activation activation = Activation::kNone) const {
        return ops::linear(ctx, x, *weight_, residual, activation);
    }

  private:
    Slotted<ops::LinearWeight> weight_;
};

// Several linears on one input as one product: outputs follow each other in the innermost extent, [..., sum
// of out]. Every one of `scopes` holds a weight [out, in], and a bias [out] where `bias` says so.
Slotted<ops::LinearWeight> bind_stacked_linear(const LoadContext& load,
                                               const std::vector<WeightScope>& scopes, std::int64_t in,
                                               std::int64_t out, bool bias);
// The names of "weight" and, where `bias` says so, "bias" in every scope.
std::vector<std::string> tensor_names(const std::vector<WeightScope>& scopes, bool bias);

}  // namespace sdxl::nn
