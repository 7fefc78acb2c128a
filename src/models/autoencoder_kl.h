// AutoencoderKL: pictures to latent distributions and back. Values of pictures lie in [-1, 1]; latents are
// those of the network itself, without the scaling factor (the pipeline applies it).
//
// Kingma and Welling, "Auto-Encoding Variational Bayes", 2013; Rombach et al., "High-Resolution Image
// Synthesis with Latent Diffusion Models", 2021; structure and names follow diffusers' autoencoder_kl.py.
#pragma once

#include <vector>

#include "models/vae_blocks.h"
#include "models/vae_config.h"

namespace sdxl {

// A diagonal Gaussian over latents, in host memory, where it is sampled: [N, h, w, latent_channels].
struct LatentDistribution {
    Shape shape;
    std::vector<float> mean;
    std::vector<float> logvar;  // held within [-30, 20]
};

class AutoencoderKL {
  public:
    AutoencoderKL(const LoadContext& load, const WeightMap& weights, const VaeConfig& config);

    const VaeConfig& config() const { return config_; }

    // image [N, H, W, image_channels], H and W multiples of 2^(blocks - 1), 8 for SDXL
    LatentDistribution encode(const Context& ctx, const Tensor& image) const;
    // latent [N, h, w, latent_channels] -> [N, 8 h, 8 w, image_channels], not clamped
    Tensor decode(const Context& ctx, const Tensor& latent) const;

    // The same in two halves each, for pictures that are too large to be done at once: shrink() and enlarge()
    // take a picture piece by piece, the others want it whole. hidden is [N, h, w, hidden_channels()].
    Tensor shrink(const Context& ctx, const Tensor& image) const;
    LatentDistribution encode_hidden(const Context& ctx, const Tensor& hidden) const;
    Tensor decode_hidden(const Context& ctx, const Tensor& latent) const;
    Tensor enlarge(const Context& ctx, const Tensor& hidden) const;
    std::int64_t hidden_channels() const { return config_.block_out_channels.back(); }

  private:
    VaeConfig config_;
    VaeEncoder encoder_;
    nn::Conv2d quant_conv_;
    nn::Conv2d post_quant_conv_;
    VaeDecoder decoder_;
};

}  // namespace sdxl
