#include "nn/transformer_block.h"

namespace sdxl::nn {

BasicTransformerBlock::BasicTransformerBlock(const LoadContext& load, const WeightScope& scope,
                                             const TransformerDims& dims)
    : norm1_(load, scope.sub("norm1"), dims.channels),
      attn1_(load, scope.sub("attn1"), dims.channels, dims.heads, kUNetAttention),
      norm2_(load, scope.sub("norm2"), dims.channels),
      attn2_(load, scope.sub("attn2"), dims.channels, dims.context_channels, dims.heads, kUNetAttention),
      norm3_(load, scope.sub("norm3"), dims.channels),
      ff_(load, scope.sub("ff"), dims.channels) {}

Tensor BasicTransformerBlock::forward(const Context& ctx, const Tensor& x, const CrossContext& context,
                                      std::int64_t perturbed) const {
    const Tensor seen = attn1_.forward_perturbed(ctx, norm1_.forward(ctx, x), x, perturbed);  // [N, L, C]
    const Tensor told = attn2_.forward(ctx, norm2_.forward(ctx, seen), context, seen);        // [N, L, C]
    return ff_.forward(ctx, norm3_.forward(ctx, told), told);                                 // [N, L, C]
}

}  // namespace sdxl::nn
