// From what an image encoder saw to tokens that a UNet's cross-attentions attend to.
//
// Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter", 2023. Two kinds: one linear over the
// picture's vector (ImageProjModel), or a Resampler over the states of its patches ("plus"; Alayrac et al.,
// "Flamingo", 2022: latent queries attend to the patches and to themselves). Names are those of the adapter's
// authors, below "image_proj"; which kind it is and its extents are read from the tensors.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "nn/linear.h"
#include "nn/norms.h"
#include "weights/weight_scope.h"

namespace sdxl {

// proj, norm.
class ImageProjModel {
  public:
    ImageProjModel(const LoadContext& load, const WeightMap& weights, std::int64_t out);

    std::int64_t tokens() const { return tokens_; }
    // x [N, in] -> [N, tokens, out]
    Tensor forward(const Context& ctx, const Tensor& x) const;

  private:
    std::int64_t in_, out_, tokens_;
    nn::Linear proj_;  // [tokens * out, in]
    nn::LayerNorm norm_;
};

class Resampler {
  public:
    Resampler(const LoadContext& load, const WeightMap& weights, std::int64_t out);

    std::int64_t tokens() const { return tokens_; }
    // x [N, L, in] -> [N, tokens, out]
    Tensor forward(const Context& ctx, const Tensor& x) const;

  private:
    // PerceiverAttention and a feed-forward, each with a residual.
    struct Layer {
        Layer(const LoadContext& load, const WeightScope& scope, const WeightMap& weights,
              std::int64_t width);
        // x [N, L, C], latents [N, tokens, C] -> [N, tokens, C]
        Tensor forward(const Context& ctx, const Tensor& x, const Tensor& latents) const;

        std::int64_t inner;  // of the attention
        nn::LayerNorm norm1, norm2;
        nn::Linear to_q, to_kv, to_out;
        nn::LayerNorm ff_norm;
        nn::Linear ff_in, ff_out;
    };

    std::int64_t in_, width_, tokens_;
    std::vector<float> latents_;  // [tokens, width]
    nn::Linear proj_in_;
    std::vector<Layer> layers_;
    nn::Linear proj_out_;
    nn::LayerNorm norm_out_;
};

// What a projection takes: the picture's vector, or the states of its patches; and of how many channels.
struct ImageProjectionInput {
    bool hidden_states = false;
    std::int64_t channels = 0;
};
// From names and shapes. Fails with kInvalidModel if the tensors are no projection.
ImageProjectionInput image_projection_input(const WeightMap& weights);

// Either, as the tensors say. Fails with kInvalidModel if they are neither, or do not give `out` channels.
using ImageProjection = std::variant<ImageProjModel, Resampler>;
ImageProjection make_image_projection(const LoadContext& load, const WeightMap& weights, std::int64_t out);

}  // namespace sdxl
