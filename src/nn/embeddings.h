// Timesteps and their embedding. Names follow diffusers' models/embeddings.py.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/linear.h"

namespace sdxl::nn {

// Sinusoidal embedding of every value: [values, dim], cosines before sines (diffusers' flip_sin_to_cos with
// downscale_freq_shift 0). Vaswani et al., 2017, section 3.5. REQUIRES: dim even.
std::vector<float> sinusoidal_embedding(std::span<const float> values, std::int64_t dim);

// Embedding of a guidance scale, [dim], sines before cosines (diffusers' get_guidance_scale_embedding). Meng
// et al., "On Distillation of Guided Diffusion Models", 2023; `scale` is the guidance scale less 1. REQUIRES:
// dim even, at least 4.
std::vector<float> guidance_embedding(float scale, std::int64_t dim);

// The same without int8 weights: what becomes of time and sizes steers every layer, and costs next to
// nothing.
LoadContext unquantized(LoadContext load);

// linear_1, SiLU, linear_2.
class TimestepEmbedding {
  public:
    TimestepEmbedding(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out);

    // x [N, in] -> [N, out], plus the residual where defined
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& residual = {}) const;

  private:
    Linear linear_1_, linear_2_;
};

}  // namespace sdxl::nn
