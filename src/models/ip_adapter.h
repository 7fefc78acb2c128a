// IpAdapter: decoupled cross-attention to reference pictures. For every cross-attention of a UNet it has
// projections of its own, which make keys and values of a picture's tokens; what they attend to is added to
// what the prompt's give (UNetConditioning::images).
//
// Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter", 2023. The authors number all attentions of
// diffusers' UNet in the order of its attn_processors: down, up, middle; cross-attentions have odd numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "models/image_projection.h"
#include "models/unet_config.h"

namespace sdxl {

class IpAdapter {
  public:
    // Fails with kInvalidModel if the tensors are not those of an adapter for a UNet of that configuration;
    // one for another Stable Diffusion is named as such.
    IpAdapter(const LoadContext& load, const WeightMap& weights, const UNetConfig& unet);

    const ImageProjectionInput& input() const { return input_; }
    std::int64_t tokens() const;  // of a picture
    std::int64_t context_channels() const { return context_channels_; }
    // Of the UNet's cross-attentions, in the order of UNetConditioning::kv.
    const std::vector<std::int64_t>& channels() const { return channels_; }

    // seen [N, input().channels], or [N, L, input().channels] of hidden states -> [N, tokens,
    // context_channels]
    Tensor project_image(const Context& ctx, const Tensor& seen) const;
    // tokens [N, L, context_channels], of one picture or several behind each other -> for every
    // cross-attention [N, L, 2 * C], in the order of UNetConditioning::kv.
    std::vector<Tensor> project_context(const Context& ctx, const Tensor& tokens) const;

  private:
    std::int64_t context_channels_;
    std::vector<std::int64_t> channels_;
    ImageProjectionInput input_;
    ImageProjection projection_;
    std::vector<Slotted<ops::LinearWeight>> kv_;  // [2 * C, context_channels]
};

// By names and shapes; fails as the constructor does.
void require_made_for(const WeightMap& weights, const UNetConfig& unet);

// Channels of a UNet's cross-attentions, in the order of UNetConditioning::kv.
std::vector<std::int64_t> cross_attention_channels(const UNetConfig& unet);

}  // namespace sdxl
