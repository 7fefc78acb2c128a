// BasicTransformerBlock: self-attention, cross-attention and feed-forward, each behind a layer norm with a
// residual.
#pragma once

#include <cstdint>

#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/norms.h"

namespace sdxl::nn {

struct TransformerDims {
    std::int64_t channels = 0;
    std::int64_t context_channels = 0;
    int heads = 1;
};

class BasicTransformerBlock {
  public:
    BasicTransformerBlock(const LoadContext& load, const WeightScope& scope, const TransformerDims& dims);

    // context [N, Lk, context_channels] -> [N, Lk, 2 * C]
    Tensor project_context(const Context& ctx, const Tensor& context) const {
        return attn2_.project_context(ctx, context);
    }
    // x [N, L, C], context of project_context -> [N, L, C]; the last `perturbed` entries with perturbed
    // self-attention.
    Tensor forward(const Context& ctx, const Tensor& x, const CrossContext& context,
                   std::int64_t perturbed = 0) const;

  private:
    LayerNorm norm1_;
    SelfAttention attn1_;
    LayerNorm norm2_;
    CrossAttention attn2_;
    LayerNorm norm3_;
    FeedForward ff_;
};

}  // namespace sdxl::nn
