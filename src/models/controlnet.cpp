#include "models/controlnet.h"

#include <algorithm>

#include "core/error.h"

namespace sdxl {
namespace {

// Of the skip connections, conv_in's first.
std::vector<std::int64_t> skip_channels(const UNetConfig& config) {
    std::vector<std::int64_t> channels{config.block_out_channels.front()};
    for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
        const bool last = i + 1 == config.block_out_channels.size();
        const int outputs = config.layers_per_block + (last ? 0 : 1);
        channels.insert(channels.end(), static_cast<std::size_t>(outputs), config.block_out_channels[i]);
    }
    return channels;
}

// [N, C] values at every pixel of [N, h, w, C].
std::vector<float> at_every_pixel(const std::vector<float>& values, const Shape& shape) {
    const auto channels = static_cast<std::ptrdiff_t>(shape[3]);
    std::vector<float> picture;
    picture.reserve(static_cast<std::size_t>(shape.numel()));
    for (std::ptrdiff_t n = 0; n < shape[0]; ++n)
        for (std::int64_t pixel = 0; pixel < shape[1] * shape[2]; ++pixel)
            picture.insert(picture.end(), values.begin() + n * channels, values.begin() + (n + 1) * channels);
    return picture;
}

}  // namespace

Tensor repeat(const Context& ctx, const Tensor& x, std::int64_t times) {
    const Tensor one = x.reshape({1, x.dim(1) * x.dim(2), x.dim(3)});
    Tensor all = one;
    while (all.dim(0) < times) all = ops::concat_batch(ctx, all, one);
    return all.reshape({times, x.dim(1), x.dim(2), x.dim(3)});
}

ControlNetModel::HintEmbedding::HintEmbedding(const LoadContext& load, const WeightScope& scope,
                                              const ControlNetConfig& config)
    : conv_in(load, scope.sub("conv_in"), config.hint_channels, config.hint_block_channels.front()),
      conv_out(load, scope.sub("conv_out"), config.hint_block_channels.back(),
               config.encoder.block_out_channels.front()) {
    const auto& channels = config.hint_block_channels;
    int index = 0;
    for (std::size_t i = 0; i + 1 < channels.size(); ++i) {
        blocks.emplace_back(load, scope.sub("blocks", index++), channels[i], channels[i]);
        blocks.emplace_back(load, scope.sub("blocks", index++), channels[i], channels[i + 1],
                            nn::Conv2dOptions{.stride = 2});
    }
}

Tensor ControlNetModel::HintEmbedding::forward(const Context& ctx, const Tensor& hint) const {
    Tensor x = ops::activate(ctx, conv_in.forward(ctx, hint), Activation::kSilu);  // [1, 8 h, 8 w, 16]
    for (const auto& block : blocks)
        x = ops::activate(ctx, block.forward(ctx, x), Activation::kSilu);  // at last [1, h, w, 256]
    return conv_out.forward(ctx, x);                                       // [1, h, w, C0]
}

ControlNetModel::TransformerLayer::TransformerLayer(const LoadContext& load, const WeightScope& scope,
                                                    const ControlNetConfig& config)
    : ln_1(load, scope.sub("ln_1"), config.transformer_channels),
      attn(load, scope.sub("attn"), config.transformer_channels, config.transformer_heads,
           nn::kClipAttention),
      ln_2(load, scope.sub("ln_2"), config.transformer_channels),
      c_fc(load, scope.sub("mlp").sub("c_fc"), config.transformer_channels, 4 * config.transformer_channels),
      c_proj(load, scope.sub("mlp").sub("c_proj"), 4 * config.transformer_channels,
             config.transformer_channels) {}

Tensor ControlNetModel::TransformerLayer::forward(const Context& ctx, const Tensor& x) const {
    const Tensor attended = attn.forward(ctx, ln_1.forward(ctx, x), x);  // [N, L, C]
    const Tensor inner =
        c_fc.forward(ctx, ln_2.forward(ctx, attended), {}, Activation::kQuickGelu);  // [N, L, 4 C]
    return c_proj.forward(ctx, inner, attended);                                     // [N, L, C]
}

ControlNetModel::Union::Union(const LoadContext& load, const WeightMap& weights,
                              const ControlNetConfig& config)
    : task_embedding(to_f32(
          WeightScope(weights).get("task_embedding", {config.control_types, config.transformer_channels}))),
      spatial_ch_projs(load, WeightScope(weights).sub("spatial_ch_projs"), config.transformer_channels,
                       config.encoder.block_out_channels.front()),
      control_add_embedding(load, WeightScope(weights).sub("control_add_embedding"),
                            config.control_types * config.encoder.time_id_dim,
                            config.encoder.time_embed_dim) {
    for (int i = 0; i < config.transformer_layers; ++i)
        layers.emplace_back(load, WeightScope(weights).sub("transformer_layes", i), config);
}

ControlNetModel::ControlNetModel(const LoadContext& load, const WeightMap& weights,
                                 const ControlNetConfig& config)
    : config_(config),
      conv_in_(load, WeightScope(weights).sub("conv_in"), config.encoder.in_channels,
               config.encoder.block_out_channels.front()),
      embeddings_(load, weights, config.encoder),
      hint_embedding_(load, WeightScope(weights).sub("controlnet_cond_embedding"), config),
      mid_block_(load, WeightScope(weights).sub("mid_block"), config.encoder),
      controlnet_mid_block_(load, WeightScope(weights).sub("controlnet_mid_block"),
                            config.encoder.block_out_channels.back(),
                            config.encoder.block_out_channels.back(), nn::kConv1x1) {
    const WeightScope root(weights);
    for (std::size_t i = 0; i < config.encoder.block_out_channels.size(); ++i)
        down_blocks_.emplace_back(load, root.sub("down_blocks", static_cast<int>(i)), config.encoder, i);
    int index = 0;
    for (const auto channels : skip_channels(config.encoder))
        controlnet_down_blocks_.emplace_back(load, root.sub("controlnet_down_blocks", index++), channels,
                                             channels, nn::kConv1x1);
    if (config.is_union()) union_.emplace(load, weights, config);
}

// Which types of control there are, embedded as timesteps are: [N, time_embed_dim].
Tensor ControlNetModel::embed_types(const Context& ctx, std::span<const int> types,
                                    std::int64_t batch) const {
    std::vector<float> known(static_cast<std::size_t>(config_.control_types), 0.F);
    for (const int type : types) known.at(static_cast<std::size_t>(type)) = 1.F;
    const auto one = nn::sinusoidal_embedding(known, config_.encoder.time_id_dim);
    std::vector<float> all;
    for (std::int64_t i = 0; i < batch; ++i) all.insert(all.end(), one.begin(), one.end());
    return union_->control_add_embedding.forward(
        ctx, ops::upload(ctx, all, {batch, static_cast<std::int64_t>(one.size())}));
}

UNetConditioning ControlNetModel::prepare_conditioning(const Context& ctx, const Tensor& context,
                                                       const Tensor& pooled, std::span<const float> time_ids,
                                                       std::span<const int> types) const {
    UNetConditioning conditioning;
    const Tensor of_types = union_ ? embed_types(ctx, types, pooled.dim(0)) : Tensor{};
    conditioning.add_embedding = embeddings_.embed_sizes(ctx, pooled, time_ids, of_types);
    const Tensor tokens = ops::cast(ctx, context, ctx.compute);  // [N, Lk, D]
    for (const auto& block : down_blocks_) block.project_context(ctx, tokens, conditioning.kv);
    mid_block_.project_context(ctx, tokens, conditioning.kv);
    return conditioning;
}

HintFeatures ControlNetModel::embed_hint(const Context& ctx, const Tensor& hint, int type) const {
    HintFeatures embedded;
    embedded.features = hint_embedding_.forward(ctx, ops::cast(ctx, hint, ctx.compute));  // [1, h, w, C0]
    embedded.type = type;
    if (union_) embedded.mean = ops::channel_means(ctx, embedded.features);
    return embedded;
}

// A bias for each channel of what the hints add up to, [N, C0]: the condition transformer sees the mean of
// every hint, told by its task's embedding, and that of the sample.
Tensor ControlNetModel::weigh_hints(const Context& ctx, const Tensor& sample,
                                    std::span<const HintFeatures> hints) const {
    const std::int64_t batch = sample.dim(0);
    const std::int64_t channels = sample.dim(3);
    const auto width = static_cast<std::ptrdiff_t>(channels);
    const std::vector<float> seen = ops::channel_means(ctx, sample);
    std::vector<float> tokens;
    for (std::ptrdiff_t n = 0; n < batch; ++n) {
        for (const HintFeatures& hint : hints)
            for (std::ptrdiff_t c = 0; c < width; ++c)
                tokens.push_back(hint.mean[static_cast<std::size_t>(c)] +
                                 union_->task_embedding[static_cast<std::size_t>(hint.type * width + c)]);
        tokens.insert(tokens.end(), seen.begin() + n * width, seen.begin() + (n + 1) * width);
    }
    const auto count = static_cast<std::int64_t>(hints.size());
    Tensor x = ops::upload(ctx, tokens, {batch, count + 1, channels});
    for (const auto& layer : union_->layers) x = layer.forward(ctx, x);  // [N, hints + 1, C0]
    const auto all = ops::download(ctx, union_->spatial_ch_projs.forward(ctx, x));
    std::vector<float> sums(static_cast<std::size_t>(batch * channels), 0.F);
    for (std::int64_t n = 0; n < batch; ++n)
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t c = 0; c < channels; ++c)
                sums[static_cast<std::size_t>(n * channels + c)] +=
                    all[static_cast<std::size_t>((n * (count + 1) + i) * channels + c)];
    return ops::upload(ctx, at_every_pixel(sums, sample.shape()), sample.shape());  // [N, h, w, C0]
}

Tensor ControlNetModel::add_hints(const Context& ctx, const Tensor& sample,
                                  std::span<const HintFeatures> hints) const {
    if (hints.empty() || (!union_ && hints.size() > 1))
        fail(ErrorCode::kInternal, "controlnet: " + std::to_string(hints.size()) + " control pictures");
    Tensor sum = sample;
    for (const HintFeatures& hint : hints)
        sum = ops::add(ctx, sum, repeat(ctx, hint.features, sample.dim(0)));  // [N, h, w, C0]
    return union_ ? ops::add(ctx, sum, weigh_hints(ctx, sample, hints)) : sum;
}

ControlResiduals ControlNetModel::forward(const Context& ctx, const Tensor& latent,
                                          std::span<const HintFeatures> hints,
                                          std::span<const float> timesteps,
                                          const UNetConditioning& conditioning) const {
    if (latent.shape().rank() != 4 || latent.dim(3) != config_.encoder.in_channels ||
        static_cast<std::int64_t>(timesteps.size()) != latent.dim(0)) {
        fail(ErrorCode::kInternal, "controlnet: latent " + latent.shape().str() + " with " +
                                       std::to_string(timesteps.size()) + " timesteps");
    }
    const Tensor time_silu =
        embeddings_.embed_time(ctx, embeddings_.upload_time(ctx, timesteps, 1), conditioning.add_embedding);
    ContextReader kv(conditioning.kv);
    Tensor x = conv_in_.forward(ctx, ops::cast(ctx, latent, ctx.compute));  // [N, h, w, C0]
    x = add_hints(ctx, x, hints);
    ControlResiduals residuals;
    residuals.down.push_back(x);
    for (const auto& block : down_blocks_) x = block.forward(ctx, x, time_silu, kv, residuals.down);
    x = mid_block_.forward(ctx, x, time_silu, kv, /*perturbed=*/0);
    for (std::size_t i = 0; i < residuals.down.size(); ++i)
        residuals.down[i] = controlnet_down_blocks_[i].forward(ctx, residuals.down[i]);
    residuals.mid = controlnet_mid_block_.forward(ctx, x);
    return residuals;
}

}  // namespace sdxl
