// AutoencoderTiny: the small autoencoder of Ollin Boer Bohan (TAESD; for SDXL: TAESDXL), some fifty times
// cheaper than AutoencoderKL and nearly as good to look at. Values of pictures lie in [-1, 1]; latents are on
// the scale of diffusion, without a scaling factor.
//
// Structure and names follow diffusers' autoencoder_tiny.py and vae.py. How many layers there are, of which
// kind and how wide is read from the tensors: a block has a "conv" below it, a convolution without a bias
// changes the size. A file may hold the decoder alone.
#pragma once

#include <optional>
#include <vector>

#include "nn/conv2d.h"
#include "ops/ops.h"
#include "weights/weight_scope.h"

namespace sdxl {

class AutoencoderTiny {
  public:
    // Fails with kInvalidModel if the tensors are no AutoencoderTiny with 4 latent channels and 3 of colour
    // that makes pictures eight times as large.
    AutoencoderTiny(const LoadContext& load, const WeightMap& weights);

    bool can_encode() const { return !encoder_.empty(); }
    // image [N, H, W, 3], H and W multiples of 8 -> [N, H / 8, W / 8, 4]. Fails with kUnsupported without an
    // encoder.
    Tensor encode(const Context& ctx, const Tensor& image) const;
    // latent [N, h, w, 4] -> [N, 8 h, 8 w, 3], not clamped
    Tensor decode(const Context& ctx, const Tensor& latent) const;

  private:
    // Three convolutions with a skip around them.
    struct Block {
        nn::Conv2d conv_0, conv_2, conv_4;
        Tensor forward(const Context& ctx, const Tensor& x) const;
    };
    struct Layer {
        std::optional<Block> block;
        std::optional<nn::Conv2d> conv;  // in place of a block
        bool resizes = false;            // a convolution that halves what it takes, or takes it doubled
    };
    static std::vector<Layer> bind(const LoadContext& load, const WeightMap& weights, const char* half);

    std::vector<Layer> encoder_;
    std::vector<Layer> decoder_;
};

}  // namespace sdxl
