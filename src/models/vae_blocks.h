// The autoencoder's stages. Names follow diffusers' autoencoders/vae.py.
#pragma once

#include <optional>
#include <vector>

#include "models/vae_config.h"
#include "nn/attention.h"
#include "nn/resample.h"
#include "nn/resnet_block.h"

namespace sdxl {

// Two residual blocks with single-head attention over all pixels between them (UNetMidBlock2D).
class VaeMidBlock {
  public:
    VaeMidBlock(const LoadContext& load, const WeightScope& scope, const VaeConfig& config);

    // x [N, h, w, C] -> [N, h, w, C]
    Tensor forward(const Context& ctx, const Tensor& x) const;

  private:
    nn::ResnetBlock2D resnet_0_;
    nn::GroupNorm norm_;
    nn::SelfAttention attention_;
    nn::ResnetBlock2D resnet_1_;
};

// Picture to moments, [N, H, W, image_channels] -> [N, H / 8, W / 8, 2 * latent_channels] (with four blocks).
class VaeEncoder {
  public:
    VaeEncoder(const LoadContext& load, const WeightScope& scope, const VaeConfig& config);

    // image -> [N, H / 8, W / 8, C]: convolutions alone, so that it may be given a picture piece by piece.
    Tensor shrink(const Context& ctx, const Tensor& image) const;
    // What shrink gave -> moments. Attention: wants the whole picture at once.
    Tensor look_over(const Context& ctx, const Tensor& hidden) const;

  private:
    struct Block {
        std::vector<nn::ResnetBlock2D> resnets;
        std::optional<nn::Downsample2D> downsampler;  // but for the last block
    };

    nn::Conv2d conv_in_;
    std::vector<Block> down_blocks_;
    VaeMidBlock mid_block_;
    nn::GroupNorm conv_norm_out_;
    nn::Conv2d conv_out_;
};

// Latent to picture, [N, h, w, latent_channels] -> [N, 8 h, 8 w, image_channels] (with four blocks).
class VaeDecoder {
  public:
    VaeDecoder(const LoadContext& load, const WeightScope& scope, const VaeConfig& config);

    // latent -> [N, h, w, C]. Attention: wants the whole picture at once.
    Tensor look_over(const Context& ctx, const Tensor& latent) const;
    // What look_over gave -> picture: convolutions alone.
    Tensor enlarge(const Context& ctx, Tensor hidden) const;

  private:
    struct Block {
        std::vector<nn::ResnetBlock2D> resnets;
        std::optional<nn::Upsample2D> upsampler;  // but for the last block
    };

    nn::Conv2d conv_in_;
    VaeMidBlock mid_block_;
    std::vector<Block> up_blocks_;
    nn::GroupNorm conv_norm_out_;
    nn::Conv2d conv_out_;
};

}  // namespace sdxl
