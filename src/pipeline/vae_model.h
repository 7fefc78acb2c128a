// VaeModel: an autoencoder in memory, whichever of its kinds, between pictures and latents on the scale of
// diffusion.
//
// Pictures are host arrays [H, W, 3] of -1..1, latents torch's order [4, h, w] with H = 8 h and W = 8 w.
// It owns its weights and where they are; refers to its backend, which must outlive it; used by one thread at
// a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "ops/context.h"
#include "pipeline/tiles.h"
#include "pipeline/weight_placement.h"
#include "request/generation.h"
#include "sampling/random.h"
#include "weights/vae_file.h"
#include "weights/weight_scope.h"

namespace sdxl {

inline constexpr int kLatentChannels = 4;
inline constexpr int kPixelsPerLatent = 8;

using VaeNetwork = std::variant<AutoencoderKL, AutoencoderTiny>;

class VaeModel {
  public:
    // `config` is the component's config.json, "" if there is none. Its weights are made when they are used;
    // placement().make_all() makes them before. Fails with kInvalidModel.
    VaeModel(const LoadContext& load, WeightMap weights, const std::string& config,
             VaeKind kind = VaeKind::kKl);
    VaeModel(const VaeModel&) = delete;
    VaeModel& operator=(const VaeModel&) = delete;

    DType compute() const { return compute_; }
    const WeightMap& weights() const { return weights_; }
    WeightPlacement& placement() const { return *placement_; }

    // A sample of the picture's latent distribution; draws from `noise` once, as many values as it has (a
    // tiny autoencoder has no distribution and draws nothing). `ctx` lends its backend, token and trace; the
    // element type is the VAE's own. Fails with kUnsupported for a tiny one without an encoder.
    Latents encode(const Context& ctx, std::span<const float> pixels, int height, int width,
                   NoiseSource& noise, const std::optional<TileSizes>& tiles = std::nullopt) const;
    // Not clamped, and not a number where the network overflows. With `tiles` in pieces, which takes less
    // memory; the attention of the middle sees the whole picture all the same.
    std::vector<float> decode(const Context& ctx, const Latents& latents,
                              const std::optional<TileSizes>& tiles = std::nullopt) const;

  private:
    DType compute_;
    WeightMap weights_;
    std::unique_ptr<WeightPlacement> placement_;
    VaeNetwork network_;
};

}  // namespace sdxl
