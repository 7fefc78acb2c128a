// CLIPVisionModelWithProjection: a picture to one vector and to hidden states of its patches, as reference
// images are given to a UNet.
//
// Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020; Radford et al., "Learning Transferable Visual
// Models From Natural Language Supervision", 2021; names follow Hugging Face's modeling_clip.py
// ("pre_layrnorm" is theirs).
#pragma once

#include <vector>

#include "models/clip_encoder_layer.h"
#include "models/clip_vision_config.h"
#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/norms.h"

namespace sdxl {

class ClipVisionModel {
  public:
    ClipVisionModel(const LoadContext& load, const WeightMap& weights, const ClipVisionConfig& config);

    const ClipVisionConfig& config() const { return config_; }

    // pixels [N, image_size, image_size, 3], as CLIP's processor normalises them.
    // The states that go into the last layer, the class token first: [N, tokens, hidden_size].
    Tensor hidden_states(const Context& ctx, const Tensor& pixels) const;
    // The last layer's class token after norm and projection: [N, projection_dim].
    Tensor image_embeds(const Context& ctx, const Tensor& pixels) const;

  private:
    ClipVisionConfig config_;
    nn::Conv2d patch_embedding_;
    std::vector<float> class_token_;  // [hidden_size], with its position
    std::vector<float> positions_;    // [patches, hidden_size]
    nn::LayerNorm pre_norm_;
    std::vector<ClipEncoderLayer> layers_;
    nn::LayerNorm post_norm_;
    nn::Linear projection_;
};

}  // namespace sdxl
