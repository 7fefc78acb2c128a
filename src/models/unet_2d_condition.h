// UNet2DConditionModel of SDXL: predicts the noise (or velocity) in latents, under a prompt and size
// conditions.
//
// Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis", 2023;
// structure and names follow diffusers' unet_2d_condition.py. The network keeps no state: what depends on the
// prompt alone is computed once per generation into a UNetConditioning that the caller owns.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "models/unet_blocks.h"
#include "models/unet_config.h"
#include "models/unet_embeddings.h"

namespace sdxl {

// Belongs to the network and the context (backend, element type) that made it.
struct UNetConditioning {
    Tensor add_embedding;    // [N, time_embed_dim], of the pooled prompt and the time ids
    std::vector<Tensor> kv;  // every cross-attention's keys and values, [N, Lk, 2 * C]
    // The same of reference images, each for every cross-attention: IpAdapter makes them.
    std::vector<std::vector<Tensor>> images;
};

// What control models add to a pass, summed over them and weighed; empty: nothing. In the context's element
// type, for every entry of the batch.
struct ControlResiduals {
    std::vector<Tensor> down;     // of ControlNets, one for each skip connection, conv_in's first
    Tensor mid;                   // of ControlNets, for the middle block's output; may be undefined
    std::vector<Tensor> adapter;  // of T2I-Adapters: a state for each down block, and one for the middle
};

// What a pass may be asked for beyond the prediction itself.
struct UNetOptions {
    // FreeU, in the first and the second block up; diffusers' b1, s1 and b2, s2.
    std::optional<std::array<SkipBalance, 2>> free_u;
    // So many last entries of the batch see no context in the middle block's self-attention: what
    // perturbed-attention guidance leads away from. Less than the batch.
    std::int64_t perturbed = 0;
    // How much each of the conditioning's images counts; 0, or none given: not at all.
    std::vector<float> image_scales{};
    ControlResiduals control;
};

// What changes from pass to pass, on the device.
struct UNetInput {
    Tensor latent;  // [N, h, w, in_channels] (any h and w from 1)
    TimeInput time;
};

class UNet2DConditionModel {
  public:
    UNet2DConditionModel(const LoadContext& load, const WeightMap& weights, const UNetConfig& config);

    const UNetConfig& config() const { return config_; }

    // context [N, Lk, cross_attention_dim], pooled [N, pooled_dim], time_ids N x time_id_count.
    UNetConditioning prepare_conditioning(const Context& ctx, const Tensor& context, const Tensor& pooled,
                                          std::span<const float> time_ids) const;

    // One timestep for each entry of the batch. `guidance_scale` is for a network that was trained to know it
    // (config().guidance_dim).
    UNetInput input(const Context& ctx, const Tensor& latent, std::span<const float> timesteps,
                    float guidance_scale = 1) const;
    // -> [N, h, w, out_channels] in the context's element type. Takes nothing from the host.
    Tensor forward(const Context& ctx, const UNetInput& input, const UNetConditioning& conditioning,
                   const UNetOptions& options = {}) const;
    // Both in one.
    Tensor forward(const Context& ctx, const Tensor& latent, std::span<const float> timesteps,
                   const UNetConditioning& conditioning, const UNetOptions& options = {}) const {
        return forward(ctx, input(ctx, latent, timesteps), conditioning, options);
    }

  private:
    UNetConfig config_;
    nn::Conv2d conv_in_;
    UNetEmbeddings embeddings_;
    std::vector<UNetDownBlock> down_blocks_;
    UNetMidBlock mid_block_;
    std::vector<UNetUpBlock> up_blocks_;
    nn::GroupNorm conv_norm_out_;
    nn::Conv2d conv_out_;
};

}  // namespace sdxl
