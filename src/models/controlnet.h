// ControlNetModel: from latents and a control picture to residuals for the UNet's skip connections and its
// middle block. Also ControlNetUnionModel, which is told which types of control its pictures are.
//
// Zhang et al., "Adding Conditional Control to Text-to-Image Diffusion Models", 2023; Qi Xin, ControlNet++
// (Union), 2024. Structure and names follow diffusers' controlnet.py and controlnet_union.py. The network
// keeps no state: what depends on the prompt or the picture alone is computed once and owned by the caller.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/controlnet_config.h"
#include "models/unet_2d_condition.h"
#include "models/unet_blocks.h"
#include "models/unet_embeddings.h"
#include "nn/attention.h"
#include "nn/norms.h"

namespace sdxl {

// A control picture as the network sees it, whatever the step.
struct HintFeatures {
    Tensor features;          // [1, h, w, C0]
    int type = 0;             // of a union: which type of control it is
    std::vector<float> mean;  // of a union: over the picture, [C0]
};

class ControlNetModel {
  public:
    ControlNetModel(const LoadContext& load, const WeightMap& weights, const ControlNetConfig& config);

    const ControlNetConfig& config() const { return config_; }

    // As UNet2DConditionModel's. `types` are those of the hints, for a union; else empty.
    UNetConditioning prepare_conditioning(const Context& ctx, const Tensor& context, const Tensor& pooled,
                                          std::span<const float> time_ids, std::span<const int> types) const;
    // hint [1, 8 h, 8 w, 3], 0..1. REQUIRES: 0 <= type < control_types, for a union.
    HintFeatures embed_hint(const Context& ctx, const Tensor& hint, int type = 0) const;
    // latent [N, h, w, 4], one timestep for each entry -> residuals, not weighed, in the context's element
    // type. REQUIRES: one hint, or at least one for a union.
    ControlResiduals forward(const Context& ctx, const Tensor& latent, std::span<const HintFeatures> hints,
                             std::span<const float> timesteps, const UNetConditioning& conditioning) const;

  private:
    // ControlNetConditioningEmbedding: three times half as large.
    struct HintEmbedding {
        HintEmbedding(const LoadContext& load, const WeightScope& scope, const ControlNetConfig& config);
        Tensor forward(const Context& ctx, const Tensor& hint) const;

        nn::Conv2d conv_in;
        std::vector<nn::Conv2d> blocks;
        nn::Conv2d conv_out;
    };
    // ResidualAttentionBlock, as in CLIP.
    struct TransformerLayer {
        TransformerLayer(const LoadContext& load, const WeightScope& scope, const ControlNetConfig& config);
        Tensor forward(const Context& ctx, const Tensor& x) const;  // [N, L, C] -> [N, L, C]

        nn::LayerNorm ln_1;
        nn::SelfAttention attn;
        nn::LayerNorm ln_2;
        nn::Linear c_fc, c_proj;
    };
    // What makes a union of a ControlNet.
    struct Union {
        Union(const LoadContext& load, const WeightMap& weights, const ControlNetConfig& config);

        std::vector<float> task_embedding;  // [control_types, C0]
        std::vector<TransformerLayer> layers;
        nn::Linear spatial_ch_projs;
        nn::TimestepEmbedding control_add_embedding;
    };

    Tensor embed_types(const Context& ctx, std::span<const int> types, std::int64_t batch) const;
    Tensor add_hints(const Context& ctx, const Tensor& sample, std::span<const HintFeatures> hints) const;
    Tensor weigh_hints(const Context& ctx, const Tensor& sample, std::span<const HintFeatures> hints) const;

    ControlNetConfig config_;
    nn::Conv2d conv_in_;
    UNetEmbeddings embeddings_;
    HintEmbedding hint_embedding_;
    std::vector<UNetDownBlock> down_blocks_;
    UNetMidBlock mid_block_;
    std::vector<nn::Conv2d> controlnet_down_blocks_;
    nn::Conv2d controlnet_mid_block_;
    std::optional<Union> union_;
};

// x [1, h, w, C] over and over: [times, h, w, C].
Tensor repeat(const Context& ctx, const Tensor& x, std::int64_t times);

}  // namespace sdxl
