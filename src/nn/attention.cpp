#include "nn/attention.h"

namespace sdxl::nn {

SelfAttention::SelfAttention(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                             int heads, const AttentionNames& names)
    : channels_(channels),
      heads_(heads),
      qkv_(bind_stacked_linear(load, {scope.sub(names.query), scope.sub(names.key), scope.sub(names.value)},
                               channels, channels, names.bias)),
      out_(load, scope.sub(names.out), channels, channels) {}

Tensor SelfAttention::forward(const Context& ctx, const Tensor& x, const Tensor& residual,
                              bool causal) const {
    const Tensor qkv = ops::linear(ctx, x, *qkv_);  // [N, L, 3 * C]
    const Tensor attended =
        ops::attention(ctx, qkv.columns(0, channels_), qkv.columns(channels_, channels_),
                       qkv.columns(2 * channels_, channels_), heads_, causal);  // [N, L, C]
    return out_.forward(ctx, attended, residual);
}

Tensor SelfAttention::forward_perturbed(const Context& ctx, const Tensor& x, const Tensor& residual,
                                        std::int64_t perturbed) const {
    if (perturbed == 0) return forward(ctx, x, residual);
    const Tensor qkv = ops::linear(ctx, x, *qkv_);  // [N, L, 3 * C]
    const std::int64_t plain = x.dim(0) - perturbed;
    // A softmax over the token itself is 1: what comes out is its value.
    const Tensor values = qkv.columns(2 * channels_, channels_).slice(plain, perturbed);
    const Tensor seen = qkv.slice(0, plain);
    const Tensor attended =
        ops::attention(ctx, seen.columns(0, channels_), seen.columns(channels_, channels_),
                       seen.columns(2 * channels_, channels_), heads_, /*causal=*/false);
    return out_.forward(ctx, ops::concat_batch(ctx, attended, values), residual);
}

CrossAttention::CrossAttention(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                               std::int64_t context_channels, int heads, const AttentionNames& names)
    : channels_(channels),
      heads_(heads),
      q_(bind_stacked_linear(load, {scope.sub(names.query)}, channels, channels, names.bias)),
      kv_(bind_stacked_linear(load, {scope.sub(names.key), scope.sub(names.value)}, context_channels,
                              channels, names.bias)),
      out_(load, scope.sub(names.out), channels, channels) {}

Tensor CrossAttention::project_context(const Context& ctx, const Tensor& context) const {
    return ops::linear(ctx, context, *kv_);
}

Tensor CrossAttention::attend(const Context& ctx, const Tensor& q, const Tensor& kv) const {
    return ops::attention(ctx, q, kv.columns(0, channels_), kv.columns(channels_, channels_), heads_,
                          /*causal=*/false);
}

Tensor CrossAttention::forward(const Context& ctx, const Tensor& x, const CrossContext& context,
                               const Tensor& residual) const {
    const Tensor q = ops::linear(ctx, x, *q_);     // [N, L, C]
    Tensor attended = attend(ctx, q, context.kv);  // [N, L, C]
    for (const AddedContext& added : context.added)
        attended = ops::add_scaled(ctx, attended, attend(ctx, q, added.kv), added.scale);
    return out_.forward(ctx, attended, residual);
}

}  // namespace sdxl::nn
