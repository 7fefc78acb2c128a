#include "pipeline/vae_model.h"

#include <cmath>
#include <cstddef>
#include <utility>

#include "models/vae_config.h"
#include "ops/layout.h"
#include "ops/ops.h"

namespace sdxl {
namespace {

VaeConfig config_of(const WeightMap& weights, const std::string& json) {
    const VaeConfig config = detect_vae_config(weights);
    return json.empty() ? config : check_against_json(config, json);
}

VaeNetwork make_network(const LoadContext& load, const WeightMap& weights, const std::string& config,
                        VaeKind kind) {
    if (kind == VaeKind::kTiny) return VaeNetwork(std::in_place_type<AutoencoderTiny>, load, weights);
    return VaeNetwork(std::in_place_type<AutoencoderKL>, load, weights, config_of(weights, config));
}

// Host values [height, width, channels] as a batch of one.
Tensor upload_picture(const Context& ctx, std::span<const float> values, int height, int width) {
    const auto channels =
        static_cast<std::int64_t>(values.size()) / (static_cast<std::int64_t>(height) * width);
    return ops::upload(ctx, values, {1, height, width, channels});
}

// All tiles once for the moments of the norms, and once more by those of the whole picture.
template <class Make>
std::vector<float> in_tiles(const Context& ctx, int height, int width, int scale, int channels,
                            const TileSizes& sizes, const Make& make) {
    NormMoments norms;
    Context with = ctx;
    with.norms = &norms;
    const auto one = [&](const TilePlace& place) {
        norms.begin_tile();
        return make(with, place);
    };
    if (height > sizes.tile || width > sizes.tile)
        blend_tiles(height, width, scale, channels, sizes, one);
    else
        with.norms = nullptr;
    norms.apply();
    return blend_tiles(height, width, scale, channels, sizes, one);
}

}  // namespace

VaeModel::VaeModel(const LoadContext& load, WeightMap weights, const std::string& config, VaeKind kind)
    : compute_(load.compute),
      weights_(std::move(weights)),
      placement_(std::make_unique<WeightPlacement>()),
      network_(make_network({load.backend, load.compute, placement_->slots()}, weights_, config, kind)) {
    placement_->keep(weights_);
}

Latents VaeModel::encode(const Context& ctx, std::span<const float> pixels, int height, int width,
                         NoiseSource& noise, const std::optional<TileSizes>& tiles) const {
    const Context own{ctx.backend, compute_, ctx.cancel, ctx.trace};
    Latents latents{height / kPixelsPerLatent, width / kPixelsPerLatent, {}};
    const ops::PictureExtents extents{1, kLatentChannels, latents.height, latents.width};
    if (const auto* tiny = std::get_if<AutoencoderTiny>(&network_)) {
        latents.values = ops::nhwc_to_nchw(
            ops::download(own, tiny->encode(own, upload_picture(own, pixels, height, width))), extents);
        return latents;
    }
    const AutoencoderKL& kl = std::get<AutoencoderKL>(network_);
    LatentDistribution distribution;
    if (tiles) {
        const auto shrink = [&](const Context& with, const TilePlace& place) {
            const TilePlace part{place.top * kPixelsPerLatent, place.left * kPixelsPerLatent,
                                 place.height * kPixelsPerLatent, place.width * kPixelsPerLatent};
            const auto cut = cut_out(pixels, width, 3, part);
            return ops::download(with, kl.shrink(with, upload_picture(with, cut, part.height, part.width)));
        };
        const auto hidden = in_tiles(own, latents.height, latents.width, 1,
                                     static_cast<int>(kl.hidden_channels()), *tiles, shrink);
        distribution = kl.encode_hidden(own, upload_picture(own, hidden, latents.height, latents.width));
    } else {
        distribution = kl.encode(own, upload_picture(own, pixels, height, width));
    }
    latents.values = ops::nhwc_to_nchw(distribution.mean, extents);
    const std::vector<float> logvar = ops::nhwc_to_nchw(distribution.logvar, extents);
    const std::vector<float> draws = noise.normal(static_cast<std::int64_t>(latents.values.size()));
    const float scale = kl.config().scaling_factor;
    for (std::size_t i = 0; i < draws.size(); ++i)
        latents.values[i] = (latents.values[i] + std::exp(0.5F * logvar[i]) * draws[i]) * scale;
    return latents;
}

std::vector<float> VaeModel::decode(const Context& ctx, const Latents& latents,
                                    const std::optional<TileSizes>& tiles) const {
    const Context own{ctx.backend, compute_, ctx.cancel, ctx.trace};
    const ops::PictureExtents extents{1, kLatentChannels, latents.height, latents.width};
    std::vector<float> scaled = ops::nchw_to_nhwc(latents.values, extents);
    // Small enough to be done whole.
    if (const auto* tiny = std::get_if<AutoencoderTiny>(&network_))
        return ops::download(own,
                             tiny->decode(own, upload_picture(own, scaled, latents.height, latents.width)));
    const AutoencoderKL& kl = std::get<AutoencoderKL>(network_);
    for (float& value : scaled) value /= kl.config().scaling_factor;
    const Tensor latent = upload_picture(own, scaled, latents.height, latents.width);
    if (!tiles) return ops::download(own, kl.decode(own, latent));
    const std::vector<float> hidden = ops::download(own, kl.decode_hidden(own, latent));
    const auto enlarge = [&](const Context& with, const TilePlace& place) {
        const auto cut = cut_out(hidden, latents.width, static_cast<int>(kl.hidden_channels()), place);
        return ops::download(with, kl.enlarge(with, upload_picture(with, cut, place.height, place.width)));
    };
    return in_tiles(own, latents.height, latents.width, kPixelsPerLatent,
                    static_cast<int>(kl.config().image_channels), *tiles, enlarge);
}

}  // namespace sdxl
