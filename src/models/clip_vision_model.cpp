#include "models/clip_vision_model.h"

#include <cstddef>

#include "core/error.h"

namespace sdxl {
namespace {

nn::Conv2dOptions patches_of(const ClipVisionConfig& config) {
    return {config.patch_size, static_cast<int>(config.patch_size), {}, /*bias=*/false};
}

std::vector<float> repeated(const std::vector<float>& values, std::int64_t times) {
    std::vector<float> all;
    for (std::int64_t i = 0; i < times; ++i) all.insert(all.end(), values.begin(), values.end());
    return all;
}

}  // namespace

ClipVisionModel::ClipVisionModel(const LoadContext& load, const WeightMap& weights,
                                 const ClipVisionConfig& config)
    : config_(config),
      patch_embedding_(load, WeightScope(weights).sub("vision_model.embeddings.patch_embedding"), 3,
                       config.hidden_size, patches_of(config)),
      pre_norm_(load, WeightScope(weights).sub("vision_model.pre_layrnorm"), config.hidden_size,
                config.norm_eps),
      post_norm_(load, WeightScope(weights).sub("vision_model.post_layernorm"), config.hidden_size,
                 config.norm_eps),
      projection_(load, WeightScope(weights).sub("visual_projection"), config.hidden_size,
                  config.projection_dim, {.bias = false, .pointwise_conv = false}) {
    const WeightScope vision = WeightScope(weights).sub("vision_model");
    const WeightScope embeddings = vision.sub("embeddings");
    class_token_ = to_f32(embeddings.get("class_embedding", {config.hidden_size}));
    positions_ = to_f32(embeddings.get("position_embedding.weight", {config.tokens(), config.hidden_size}));
    for (std::size_t i = 0; i < class_token_.size(); ++i) class_token_[i] += positions_[i];
    positions_.erase(positions_.begin(),
                     positions_.begin() + static_cast<std::ptrdiff_t>(class_token_.size()));
    const ClipLayerConfig layer{config.hidden_size, config.intermediate_size, config.heads,
                                config.norm_eps,    config.activation,        /*causal=*/false};
    for (int i = 0; i < config.layers; ++i)
        layers_.emplace_back(load, vision.sub("encoder.layers", i), layer);
}

Tensor ClipVisionModel::hidden_states(const Context& ctx, const Tensor& pixels) const {
    const std::int64_t batch = pixels.dim(0), side = config_.patches(), channels = config_.hidden_size;
    if (pixels.shape() != Shape{batch, config_.image_size, config_.image_size, 3})
        fail(ErrorCode::kInternal, "image encoder: pixels " + pixels.shape().str() + ", expected [N, " +
                                       std::to_string(config_.image_size) + ", " +
                                       std::to_string(config_.image_size) + ", 3]");
    const Tensor positions = ops::upload(ctx, repeated(positions_, batch), {batch, side, side, channels});
    const Tensor patches = patch_embedding_.forward(ctx, pixels, positions);  // [N, side, side, C]
    // Token by token behind each other, an entry of the batch is one row: the class token goes before it.
    const Tensor first = ops::upload(ctx, repeated(class_token_, batch), {batch, 1, 1, channels});
    const Tensor rows =
        ops::concat_channels(ctx, first, patches.reshape({batch, 1, 1, side * side * channels}));
    Tensor x = pre_norm_.forward(ctx, rows.reshape({batch, config_.tokens(), channels}));  // [N, L, C]
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) x = layers_[i].forward(ctx, x);   // [N, L, C]
    return x;
}

Tensor ClipVisionModel::image_embeds(const Context& ctx, const Tensor& pixels) const {
    const Tensor last = layers_.back().forward(ctx, hidden_states(ctx, pixels));  // [N, L, C]
    const std::int64_t batch = last.dim(0), length = last.dim(1), channels = last.dim(2);
    Tensor states;  // [N, 1, C]
    for (std::int64_t n = 0; n < batch; ++n) {
        const Tensor token = last.reshape({batch * length, 1, channels}).slice(n * length, 1);  // [1, 1, C]
        states = n == 0 ? token : ops::concat_batch(ctx, states, token);
    }
    const Tensor normed = post_norm_.forward(ctx, states.reshape({batch, channels}));  // [N, C]
    return projection_.forward(ctx, normed);                                           // [N, projection_dim]
}

}  // namespace sdxl
