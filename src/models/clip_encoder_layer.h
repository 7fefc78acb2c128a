// CLIPEncoderLayer: self-attention and a two-layer perceptron, each behind a layer norm with a residual. Text
// and vision encoders are made of it; names follow Hugging Face's modeling_clip.py.
#pragma once

#include <cstdint>

#include "nn/attention.h"
#include "nn/norms.h"

namespace sdxl {

struct ClipLayerConfig {
    std::int64_t hidden_size = 0;
    std::int64_t intermediate_size = 0;
    int heads = 1;
    float norm_eps = 1e-5F;
    Activation activation = Activation::kGelu;
    bool causal = false;  // a token sees those before it alone
};

class ClipEncoderLayer {
  public:
    ClipEncoderLayer(const LoadContext& load, const WeightScope& scope, const ClipLayerConfig& config);

    Tensor forward(const Context& ctx, const Tensor& x) const;  // [N, L, C] -> [N, L, C]

  private:
    Activation activation_;
    bool causal_;
    nn::LayerNorm norm1_;
    nn::SelfAttention attention_;
    nn::LayerNorm norm2_;
    nn::Linear fc1_, fc2_;
};

}  // namespace sdxl
