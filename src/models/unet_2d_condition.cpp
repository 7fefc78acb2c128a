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
      embeddings_(load, weights, config),
      mid_block_(load, WeightScope(weights).sub("mid_block"), config),
      conv_norm_out_(load, WeightScope(weights).sub("conv_norm_out"), config.block_out_channels.front(),
                     {config.norm_groups, config.norm_eps, true}),
      conv_out_(load, WeightScope(weights).sub("conv_out"), config.block_out_channels.front(),
                config.out_channels) {
    const WeightScope root(weights);
    for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
        down_blocks_.emplace_back(load, root.sub("down_blocks", static_cast<int>(i)), config, i);
        up_blocks_.emplace_back(load, root.sub("up_blocks", static_cast<int>(i)), config, i);
    }
}

UNetConditioning UNet2DConditionModel::prepare_conditioning(const Context& ctx, const Tensor& context,
                                                            const Tensor& pooled,
                                                            std::span<const float> time_ids) const {
    if (context.shape().rank() != 3 || context.dim(0) != pooled.dim(0))
        fail(ErrorCode::kInternal, "unet: conditioning does not fit; context " + context.shape().str() +
                                       ", pooled " + pooled.shape().str());
    UNetConditioning conditioning;
    conditioning.add_embedding = embeddings_.embed_sizes(ctx, pooled, time_ids);  // [N, time_embed_dim]
    const Tensor tokens = ops::cast(ctx, context, ctx.compute);                   // [N, Lk, D]
    for (const auto& block : down_blocks_) block.project_context(ctx, tokens, conditioning.kv);
    mid_block_.project_context(ctx, tokens, conditioning.kv);
    for (const auto& block : up_blocks_) block.project_context(ctx, tokens, conditioning.kv);
    return conditioning;
}

UNetInput UNet2DConditionModel::input(const Context& ctx, const Tensor& latent,
                                      std::span<const float> timesteps, float guidance_scale) const {
    if (latent.shape().rank() != 4 || latent.dim(3) != config_.in_channels ||
        count(timesteps) != latent.dim(0)) {
        fail(ErrorCode::kInternal, "unet: latent " + latent.shape().str() + " with " +
                                       std::to_string(timesteps.size()) + " timesteps, expected [N, h, w, " +
                                       std::to_string(config_.in_channels) + "] and N");
    }
    return {ops::cast(ctx, latent, ctx.compute), embeddings_.upload_time(ctx, timesteps, guidance_scale)};
}

Tensor UNet2DConditionModel::forward(const Context& ctx, const UNetInput& input,
                                     const UNetConditioning& conditioning, const UNetOptions& options) const {
    const ControlResiduals& control = options.control;
    const Tensor time_silu = embeddings_.embed_time(ctx, input.time, conditioning.add_embedding);
    ContextReader kv(conditioning.kv, images_of(conditioning, options));
    Tensor x = conv_in_.forward(ctx, input.latent);  // [N, h, w, C0]
    std::vector<Tensor> skips{x};
    for (std::size_t i = 0; i < down_blocks_.size(); ++i)
        x = down_blocks_[i].forward(ctx, x, time_silu, kv, skips,
                                    i < control.adapter.size() ? control.adapter[i] : Tensor{});
    if (!control.down.empty() && control.down.size() != skips.size())
        fail(ErrorCode::kInternal, "unet: residuals of another network's ControlNet");
    for (std::size_t i = 0; i < control.down.size(); ++i) skips[i] = ops::add(ctx, skips[i], control.down[i]);
    x = mid_block_.forward(ctx, x, time_silu, kv, options.perturbed);
    if (control.adapter.size() > down_blocks_.size())
        x = ops::add(ctx, x, control.adapter[down_blocks_.size()]);
    if (control.mid.defined()) x = ops::add(ctx, x, control.mid);
    for (std::size_t i = 0; i < up_blocks_.size(); ++i) {
        const bool balanced = options.free_u && i < options.free_u->size();
        const auto balance = balanced ? std::optional((*options.free_u)[i]) : std::nullopt;
        x = up_blocks_[i].forward(ctx, x, time_silu, kv, skips, balance);
    }
    return conv_out_.forward(ctx, conv_norm_out_.forward(ctx, x));  // [N, h, w, out]
}

}  // namespace sdxl
