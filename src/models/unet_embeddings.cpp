#include "models/unet_embeddings.h"

#include <vector>

#include "core/error.h"

namespace sdxl {
namespace {

std::int64_t count(std::span<const float> values) {
    return static_cast<std::int64_t>(values.size());
}

}  // namespace

UNetEmbeddings::UNetEmbeddings(const LoadContext& load, const WeightMap& weights, const UNetConfig& config)
    : config_(config),
      time_embedding_(load, WeightScope(weights).sub("time_embedding"), config.block_out_channels.front(),
                      config.time_embed_dim),
      add_embedding_(load, WeightScope(weights).sub("add_embedding"),
                     config.pooled_dim + config.time_id_count * config.time_id_dim, config.time_embed_dim) {
    if (config.guidance_dim > 0)
        guidance_projection_.emplace(
            nn::unquantized(load), WeightScope(weights).sub("time_embedding").sub("cond_proj"),
            config.guidance_dim, config.block_out_channels.front(), nn::LinearOptions{.bias = false});
}

Tensor UNetEmbeddings::embed_sizes(const Context& ctx, const Tensor& pooled, std::span<const float> time_ids,
                                   const Tensor& residual) const {
    const std::int64_t batch = pooled.dim(0);
    if (pooled.shape() != Shape{batch, config_.pooled_dim} ||
        count(time_ids) != batch * config_.time_id_count) {
        fail(ErrorCode::kInternal, "unet: conditioning does not fit; pooled " + pooled.shape().str() +
                                       ", time ids " + std::to_string(time_ids.size()));
    }
    const std::int64_t time_channels = config_.time_id_count * config_.time_id_dim;
    const auto sinusoids = nn::sinusoidal_embedding(time_ids, config_.time_id_dim);
    const Tensor times = ops::upload(ctx, sinusoids, {batch, 1, 1, time_channels});
    const Tensor both = ops::concat_channels(
        ctx, ops::cast(ctx, pooled, ctx.compute).reshape({batch, 1, 1, config_.pooled_dim}), times);
    return add_embedding_.forward(ctx, both.reshape({batch, both.dim(3)}), residual);  // [N, time_embed_dim]
}

TimeInput UNetEmbeddings::upload_time(const Context& ctx, std::span<const float> timesteps,
                                      float guidance_scale) const {
    const std::int64_t channels = config_.block_out_channels.front();
    TimeInput input;
    input.timesteps = ops::upload(ctx, nn::sinusoidal_embedding(timesteps, channels),
                                  {count(timesteps), channels});  // [N, C]
    if (!guidance_projection_) return input;
    std::vector<float> scales;
    const auto one = nn::guidance_embedding(guidance_scale - 1, config_.guidance_dim);
    for (std::size_t i = 0; i < timesteps.size(); ++i) scales.insert(scales.end(), one.begin(), one.end());
    input.guidance = ops::upload(ctx, scales, {count(timesteps), config_.guidance_dim});
    return input;
}

Tensor UNetEmbeddings::embed_time(const Context& ctx, const TimeInput& input,
                                  const Tensor& add_embedding) const {
    Tensor times = input.timesteps;                                                               // [N, C]
    if (guidance_projection_) times = guidance_projection_->forward(ctx, input.guidance, times);  // [N, C]
    const Tensor embedding = time_embedding_.forward(ctx, times, add_embedding);  // [N, time_embed_dim]
    return ops::activate(ctx, embedding, Activation::kSilu);
}

}  // namespace sdxl
