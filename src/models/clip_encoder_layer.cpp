#include "models/clip_encoder_layer.h"

namespace sdxl {

ClipEncoderLayer::ClipEncoderLayer(const LoadContext& load, const WeightScope& scope,
                                   const ClipLayerConfig& config)
    : activation_(config.activation),
      causal_(config.causal),
      norm1_(load, scope.sub("layer_norm1"), config.hidden_size, config.norm_eps),
      attention_(load, scope.sub("self_attn"), config.hidden_size, config.heads, nn::kClipAttention),
      norm2_(load, scope.sub("layer_norm2"), config.hidden_size, config.norm_eps),
      fc1_(load, scope.sub("mlp.fc1"), config.hidden_size, config.intermediate_size),
      fc2_(load, scope.sub("mlp.fc2"), config.intermediate_size, config.hidden_size) {}

Tensor ClipEncoderLayer::forward(const Context& ctx, const Tensor& x) const {
    const Tensor seen = attention_.forward(ctx, norm1_.forward(ctx, x), x, causal_);      // [N, L, C]
    const Tensor hidden = fc1_.forward(ctx, norm2_.forward(ctx, seen), {}, activation_);  // [N, L, 4 C]
    return fc2_.forward(ctx, hidden, seen);                                               // [N, L, C]
}

}  // namespace sdxl
