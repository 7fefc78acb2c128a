// What a UNet knows besides latents and prompt: the timestep, the pooled prompt and the time ids. A
// ControlNet has its own copy.
#pragma once

#include <optional>
#include <span>

#include "models/unet_config.h"
#include "nn/embeddings.h"

namespace sdxl {

class UNetEmbeddings {
  public:
    UNetEmbeddings(const LoadContext& load, const WeightMap& weights, const UNetConfig& config);

    // Of the pooled prompt [N, pooled_dim] and N x time_id_count time ids, plus the residual where defined:
    // [N, time_embed_dim]. The same in every step.
    Tensor embed_sizes(const Context& ctx, const Tensor& pooled, std::span<const float> time_ids,
                       const Tensor& residual = {}) const;
    // SiLU of the timesteps' embedding and `add_embedding` (of embed_sizes) together: [N, time_embed_dim].
    // `guidance_scale` is for networks that were trained to know it.
    Tensor embed_time(const Context& ctx, std::span<const float> timesteps, const Tensor& add_embedding,
                      float guidance_scale) const;

  private:
    UNetConfig config_;
    std::optional<nn::Linear> guidance_projection_;
    nn::TimestepEmbedding time_embedding_;
    nn::TimestepEmbedding add_embedding_;
};

}  // namespace sdxl
