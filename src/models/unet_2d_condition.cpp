#include "models/unet_2d_condition.h"

#include "core/error.h"

namespace sdxl {
namespace {

std::int64_t count(std::span<const float> values) {
    return static_cast<std::int64_t>(values.size());
}

std::vector<AddedContexts> images_of(const UNetConditioning& conditioning, const UNetOptions& options) {
    if (!options.image_scales.empty() && options.image_scales.size() != conditioning.images.size())
        fail(ErrorCode::kInternal, "unet: " + std::to_string(options.image_scales.size()) + " scales for " +
                                       std::to_string(conditioning.images.size()) + " images");
    std::vector<AddedContexts> added;
    for (std::size_t i = 0; i < options.image_scales.size(); ++i)
        if (options.image_scales[i] != 0) added.push_back({conditioning.images[i], options.image_scales[i]});
    return added;
}

}  // namespace

UNet2DConditionModel::UNet2DConditionModel(const LoadContext& load, const WeightMap& weights,
                                           const UNetConfig& config)
    : config_(config),
      conv_in_(load, WeightScope(weights).sub("conv_in"), config.in_channels,
               config.block_out_channels.front()),
      time_embedding_(load, WeightScope(weights).sub("time_embedding"), config.block_out_channels.front(),
                      config.time_embed_dim),
      add_embedding_(load, WeightScope(weights).sub("add_embedding"),
                     config.pooled_dim + config.time_id_count * config.time_id_dim, config.time_embed_dim),
      mid_block_(load, WeightScope(weights).sub("mid_block"), config),
      conv_norm_out_(load, WeightScope(weights).sub("conv_norm_out"), config.block_out_channels.front(),
                     {config.norm_groups, config.norm_eps, true}),
      conv_out_(load, WeightScope(weights).sub("conv_out"), config.block_out_channels.front(),
                config.out_channels) {
    const WeightScope root(weights);
    if (config.guidance_dim > 0)
        guidance_projection_.emplace(load, root.sub("time_embedding").sub("cond_proj"), config.guidance_dim,
                                     config.block_out_channels.front(), nn::LinearOptions{.bias = false});
    for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
        down_blocks_.emplace_back(load, root.sub("down_blocks", static_cast<int>(i)), config, i);
        up_blocks_.emplace_back(load, root.sub("up_blocks", static_cast<int>(i)), config, i);
    }
}

UNetConditioning UNet2DConditionModel::prepare_conditioning(const Context& ctx, const Tensor& context,
                                                            const Tensor& pooled,
                                                            std::span<const float> time_ids) const {
    const std::int64_t batch = pooled.dim(0);
    if (pooled.shape() != Shape{batch, config_.pooled_dim} ||
        count(time_ids) != batch * config_.time_id_count || context.shape().rank() != 3 ||
        context.dim(0) != batch) {
        fail(ErrorCode::kInternal, "unet: conditioning does not fit; context " + context.shape().str() +
                                       ", pooled " + pooled.shape().str() + ", time ids " +
                                       std::to_string(time_ids.size()));
    }
    const std::int64_t time_channels = config_.time_id_count * config_.time_id_dim;
    const auto sinusoids = nn::sinusoidal_embedding(time_ids, config_.time_id_dim);
    const Tensor times = ops::upload(ctx, sinusoids, {batch, 1, 1, time_channels});
    const Tensor both = ops::concat_channels(
        ctx, ops::cast(ctx, pooled, ctx.compute).reshape({batch, 1, 1, config_.pooled_dim}), times);
    UNetConditioning conditioning;
    conditioning.add_embedding =
        add_embedding_.forward(ctx, both.reshape({batch, both.dim(3)}));  // [N, time_embed_dim]
    const Tensor tokens = ops::cast(ctx, context, ctx.compute);           // [N, Lk, D]
    for (const auto& block : down_blocks_) block.project_context(ctx, tokens, conditioning.kv);
    mid_block_.project_context(ctx, tokens, conditioning.kv);
    for (const auto& block : up_blocks_) block.project_context(ctx, tokens, conditioning.kv);
    return conditioning;
}

Tensor UNet2DConditionModel::embed_time(const Context& ctx, std::span<const float> timesteps,
                                        const Tensor& add_embedding, float guidance_scale) const {
    const std::int64_t channels = config_.block_out_channels.front();
    const auto sinusoids = nn::sinusoidal_embedding(timesteps, channels);
    Tensor times = ops::upload(ctx, sinusoids, {count(timesteps), channels});  // [N, C]
    if (guidance_projection_) {
        std::vector<float> scales;
        const auto one = nn::guidance_embedding(guidance_scale - 1, config_.guidance_dim);
        for (std::size_t i = 0; i < timesteps.size(); ++i)
            scales.insert(scales.end(), one.begin(), one.end());
        times = guidance_projection_->forward(
            ctx, ops::upload(ctx, scales, {count(timesteps), config_.guidance_dim}), times);  // [N, C]
    }
    const Tensor embedding = time_embedding_.forward(ctx, times, add_embedding);  // [N, time_embed_dim]
    return ops::activate(ctx, embedding, Activation::kSilu);
}

Tensor UNet2DConditionModel::forward(const Context& ctx, const Tensor& latent,
                                     std::span<const float> timesteps, const UNetConditioning& conditioning,
                                     const UNetOptions& options) const {
    if (latent.shape().rank() != 4 || latent.dim(3) != config_.in_channels ||
        count(timesteps) != latent.dim(0)) {
        fail(ErrorCode::kInternal, "unet: latent " + latent.shape().str() + " with " +
                                       std::to_string(timesteps.size()) + " timesteps, expected [N, h, w, " +
                                       std::to_string(config_.in_channels) + "] and N");
    }
    const Tensor time_silu = embed_time(ctx, timesteps, conditioning.add_embedding, options.guidance_scale);
    ContextReader kv(conditioning.kv, images_of(conditioning, options));
    Tensor x = conv_in_.forward(ctx, ops::cast(ctx, latent, ctx.compute));  // [N, h, w, C0]
    std::vector<Tensor> skips{x};
    for (const auto& block : down_blocks_) x = block.forward(ctx, x, time_silu, kv, skips);
    x = mid_block_.forward(ctx, x, time_silu, kv, options.perturbed);
    for (std::size_t i = 0; i < up_blocks_.size(); ++i) {
        const bool balanced = options.free_u && i < options.free_u->size();
        const auto balance = balanced ? std::optional((*options.free_u)[i]) : std::nullopt;
        x = up_blocks_[i].forward(ctx, x, time_silu, kv, skips, balance);
    }
    return conv_out_.forward(ctx, conv_norm_out_.forward(ctx, x));  // [N, h, w, out]
}

}  // namespace sdxl
