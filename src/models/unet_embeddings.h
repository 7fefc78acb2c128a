// What a UNet knows besides latents and prompt: the timestep, the pooled prompt and the time ids. A
// ControlNet has its own copy.
#pragma once

#include <optional>
#include <span>

#include "models/unet_config.h"
#include "nn/embeddings.h"

namespace sdxl {

// What a pass knows of time, on the device.
struct TimeInput {
    Tensor timesteps;  // sinusoids, [N, C]
    Tensor
        guidance;  // the guidance scale's, [N, guidance_dim]; undefined where the network has no use for it
};

class UNetEmbeddings {
  public:
    UNetEmbeddings(const LoadContext& load, const WeightMap& weights, const UNetConfig& config);

    // Of the pooled prompt [N, pooled_dim] and N x time_id_count time ids, plus the residual where defined:
    // [N, time_embed_dim]. The same in every step.
    Tensor embed_sizes(const Context& ctx, const Tensor& pooled, std::span<const float> time_ids,
                       const Tensor& residual = {}) const;
    // One timestep for each entry. `guidance_scale` is for networks that were trained to know it.
    TimeInput upload_time(const Context& ctx, std::span<const float> timesteps, float guidance_scale) const;
    // SiLU of the timesteps' embedding and `add_embedding` (of embed_sizes) together: [N, time_embed_dim].
    Tensor embed_time(const Context& ctx, const TimeInput& input, const Tensor& add_embedding) const;

  private:
    UNetConfig config_;
    std::optional<nn::Linear> guidance_projection_;
    nn::TimestepEmbedding time_embedding_;
    nn::TimestepEmbedding add_embedding_;
};

}  // namespace sdxl
