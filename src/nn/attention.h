// Multi-head attention with its projections. Vaswani et al., "Attention Is All You Need", 2017.
//
// Self-attention computes query, key and value as one product; cross-attention's key and value depend on the
// prompt alone and are projected once per generation (project_context) and handed to every forward.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/linear.h"

namespace sdxl::nn {

// Scope names of the projections, and whether query, key and value have biases.
struct AttentionNames {
    const char *query, *key, *value, *out;
    bool bias;
};
inline constexpr AttentionNames kUNetAttention{"to_q", "to_k", "to_v", "to_out.0", false};
inline constexpr AttentionNames kVaeAttention{"to_q", "to_k", "to_v", "to_out.0", true};
inline constexpr AttentionNames kClipAttention{"q_proj", "k_proj", "v_proj", "out_proj", true};

class SelfAttention {
  public:
    SelfAttention(const LoadContext& load, const WeightScope& scope, std::int64_t channels, int heads,
                  const AttentionNames& names);

    // x [N, L, C] -> attention(x) + residual, [N, L, C]
    Tensor forward(const Context& ctx, const Tensor& x, const Tensor& residual, bool causal = false) const;
    // The same, but in the last `perturbed` entries every token sees itself alone (Ahn et al. 2024).
    Tensor forward_perturbed(const Context& ctx, const Tensor& x, const Tensor& residual,
                             std::int64_t perturbed) const;

  private:
    std::int64_t channels_;
    int heads_;
    Slotted<ops::LinearWeight> qkv_;  // [3 * C, C]
    Linear out_;
};

// What a cross-attention attends to: keys and values side by side, [N, Lk, 2 * C]. Others may be attended to
// on their own, each with its keys and values of the same queries, and added by weight: decoupled
// cross-attention (Ye et al. 2023).
struct AddedContext {
    Tensor kv;  // [N, L', 2 * C]
    float scale = 1;
};
struct CrossContext {
    Tensor kv;
    std::vector<AddedContext> added;
};

class CrossAttention {
  public:
    CrossAttention(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                   std::int64_t context_channels, int heads, const AttentionNames& names);

    // context [N, Lk, context_channels] -> keys and values side by side, [N, Lk, 2 * C]
    Tensor project_context(const Context& ctx, const Tensor& context) const;
    // x [N, L, C], context of project_context -> attention(x) + residual, [N, L, C]
    Tensor forward(const Context& ctx, const Tensor& x, const CrossContext& context,
                   const Tensor& residual) const;

  private:
    Tensor attend(const Context& ctx, const Tensor& q, const Tensor& kv) const;  // [N, L, C]

    std::int64_t channels_;
    int heads_;
    Slotted<ops::LinearWeight> q_;   // [C, C]
    Slotted<ops::LinearWeight> kv_;  // [2 * C, context_channels]
    Linear out_;
};

}  // namespace sdxl::nn
