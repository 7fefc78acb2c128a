#include "models/autoencoder_kl.h"

#include <algorithm>

#include "core/error.h"

namespace sdxl {

AutoencoderKL::AutoencoderKL(const LoadContext& load, const WeightMap& weights, const VaeConfig& config)
    : config_(config),
      encoder_(load, WeightScope(weights).sub("encoder"), config),
      quant_conv_(load, WeightScope(weights).sub("quant_conv"), 2 * config.latent_channels,
                  2 * config.latent_channels, nn::kConv1x1),
      post_quant_conv_(load, WeightScope(weights).sub("post_quant_conv"), config.latent_channels,
                       config.latent_channels, nn::kConv1x1),
      decoder_(load, WeightScope(weights).sub("decoder"), config) {}

LatentDistribution AutoencoderKL::encode(const Context& ctx, const Tensor& image) const {
    return encode_hidden(ctx, shrink(ctx, image));
}

Tensor AutoencoderKL::shrink(const Context& ctx, const Tensor& image) const {
    const std::int64_t factor = std::int64_t{1} << (config_.block_out_channels.size() - 1);
    if (image.shape().rank() != 4 || image.dim(1) % factor != 0 || image.dim(2) % factor != 0) {
        fail(ErrorCode::kInternal, "vae: a picture " + image.shape().str() +
                                       " whose sides are no multiples of " + std::to_string(factor));
    }
    return encoder_.shrink(ctx, ops::cast(ctx, image, ctx.compute));
}

LatentDistribution AutoencoderKL::encode_hidden(const Context& ctx, const Tensor& hidden) const {
    const Tensor raw = encoder_.look_over(ctx, ops::cast(ctx, hidden, ctx.compute));
    const Tensor moments = quant_conv_.forward(ctx, raw);  // [N, h, w, 2 * latent]
    const auto values = ops::download(ctx, moments);
    const auto latent = static_cast<std::size_t>(config_.latent_channels);
    LatentDistribution result;
    result.shape = {moments.dim(0), moments.dim(1), moments.dim(2), config_.latent_channels};
    for (std::size_t i = 0; i < values.size(); i += 2 * latent) {
        for (std::size_t c = 0; c < latent; ++c) {
            result.mean.push_back(values[i + c]);
            result.logvar.push_back(std::clamp(values[i + latent + c], -30.0F, 20.0F));
        }
    }
    return result;
}

Tensor AutoencoderKL::decode(const Context& ctx, const Tensor& latent) const {
    return enlarge(ctx, decode_hidden(ctx, latent));
}

Tensor AutoencoderKL::decode_hidden(const Context& ctx, const Tensor& latent) const {
    return decoder_.look_over(ctx, post_quant_conv_.forward(ctx, ops::cast(ctx, latent, ctx.compute)));
}

Tensor AutoencoderKL::enlarge(const Context& ctx, const Tensor& hidden) const {
    return decoder_.enlarge(ctx, ops::cast(ctx, hidden, ctx.compute));
}

}  // namespace sdxl
