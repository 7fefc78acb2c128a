// ResnetBlock2D: norm, SiLU, convolution, twice; the timestep is added in between, the input at the end.
#pragma once

#include <cstdint>
#include <optional>

#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/norms.h"

namespace sdxl::nn {

struct ResnetConfig {
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t time_channels = 0;  // 0: a block without a timestep, as in the autoencoder
    int norm_groups = 32;
    float norm_eps = 1e-5F;
};

class ResnetBlock2D {
  public:
    ResnetBlock2D(const LoadContext& load, const WeightScope& scope, const ResnetConfig& config);

    // x [N, H, W, in], time_silu [N, time_channels] (SiLU of the time embedding; undefined where there is
    // none)
    // -> [N, H, W, out]
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& time_silu = {}) const;

  private:
    GroupNorm norm1_;
    Conv2d conv1_;
    std::optional<Linear> time_emb_proj_;
    GroupNorm norm2_;
    Conv2d conv2_;
    std::optional<Conv2d> conv_shortcut_;
};

}  // namespace sdxl::nn
