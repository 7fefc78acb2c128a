#include "pipeline/rehearsal.h"

#include <algorithm>
#include <deque>

#include "ops/ops.h"

namespace sdxl {

std::uint64_t passing_bytes(const WeightPlacement& weights) {
    std::map<std::uint64_t, int> kept;  // blocks of a size that nobody uses
    std::deque<std::uint64_t> passing;
    std::uint64_t held = 0;
    for (const auto& slot : weights.all()) {
        const std::uint64_t bytes = slot->bytes_of(slot->value.get());
        if (bytes <= WeightPlacement::kSmall) {
            held += bytes;
            continue;
        }
        for (; passing.size() > 1; passing.pop_front()) ++kept[passing.front()];
        int& free = kept[bytes];
        if (free > 0)
            --free;
        else
            held += bytes;
        passing.push_back(bytes);
    }
    return held;
}

std::uint64_t rehearse_text(const Rehearsed<ClipTextModel>& encoder, std::int64_t prompts) {
    const ClipTextConfig& config = encoder.network().config();
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(prompts * config.max_positions),
                                        config.eos_token_id);
    return encoder.peak_of({prompts}, [&](const Context& ctx) { encoder.network().forward(ctx, ids); });
}

std::uint64_t rehearse_unet(const Rehearsed<UNet2DConditionModel>& unet, std::int64_t batch, int width,
                            int height) {
    constexpr std::int64_t kTokens = 77;
    const UNetConfig& config = unet.network().config();
    return unet.peak_of({batch, width, height}, [&](const Context& ctx) {
        const auto empty = [&](const Shape& shape) { return ctx.backend.empty(shape, ctx.compute); };
        const std::vector<float> time_ids(static_cast<std::size_t>(batch * config.time_id_count));
        const std::vector<float> timesteps(static_cast<std::size_t>(batch));
        const auto conditioning =
            unet.network().prepare_conditioning(ctx, empty({batch, kTokens, config.cross_attention_dim}),
                                                empty({batch, config.pooled_dim}), time_ids);
        const Tensor latent =
            empty({batch, height / kPixelsPerLatent, width / kPixelsPerLatent, config.in_channels});
        unet.network().forward(ctx, latent, timesteps, conditioning);
    });
}

RehearsedVae::RehearsedVae(DType compute, const WeightMap& weights, const std::string& config, VaeKind kind)
    : backend_(make_rehearsal_backend()),
      compute_(compute),
      vae_(std::make_unique<VaeModel>(LoadContext{*backend_, compute}, weights, config, kind)) {
    vae_->placement().make_all(CancelToken());
}

namespace {

// The finished values, the picture made of them, and its file.
std::uint64_t host_bytes(int width, int height) {
    constexpr std::uint64_t kValues = 3 * sizeof(float);
    constexpr std::uint64_t kPixels = 3 + 3;
    return static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) * (2 * kValues + kPixels);
}

}  // namespace

std::uint64_t RehearsedVae::decode_bytes(int width, int height, const std::optional<TileSizes>& tiles) const {
    Latents latents{height / kPixelsPerLatent, width / kPixelsPerLatent, {}};
    latents.values.resize(static_cast<std::size_t>(kLatentChannels) *
                          static_cast<std::size_t>(latents.height) * static_cast<std::size_t>(latents.width));
    const TileSizes sizes = tiles.value_or(TileSizes{0, 0});
    return host_bytes(width, height) + peaks_.of({width, height, sizes.tile, sizes.overlap}, *backend_, [&] {
        vae_->decode(Context{*backend_, compute_}, latents, tiles);
    });
}

}  // namespace sdxl
