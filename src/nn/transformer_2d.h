// Transformer2DModel: a picture's pixels as tokens through transformer blocks, with a residual around the
// whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/transformer_block.h"

namespace sdxl::nn {

struct Transformer2DConfig {
    TransformerDims dims;
    int depth = 1;
    int norm_groups = 32;
    float norm_eps = 1e-6F;
    bool use_linear_projection = true;  // otherwise proj_in and proj_out are 1 x 1 convolutions
};

class Transformer2DModel {
  public:
    Transformer2DModel(const LoadContext& load, const WeightScope& scope, const Transformer2DConfig& config);

    std::size_t depth() const { return blocks_.size(); }
    // Appends each block's keys and values, [N, Lk, 2 * C].
    void project_context(const Context& ctx, const Tensor& context, std::vector<Tensor>& kv) const;
    // x [N, H, W, C] -> [N, H, W, C]; the last `perturbed` entries with perturbed self-attention. REQUIRES:
    // depth() contexts, of project_context.
    Tensor forward(const Context& ctx, const Tensor& x, std::span<const CrossContext> contexts,
                   std::int64_t perturbed = 0) const;

  private:
    GroupNorm norm_;
    Linear proj_in_;
    std::vector<BasicTransformerBlock> blocks_;
    Linear proj_out_;
};

}  // namespace sdxl::nn
