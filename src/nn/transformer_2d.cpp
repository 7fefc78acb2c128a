#include "nn/transformer_2d.h"

#include "core/error.h"

namespace sdxl::nn {
namespace {

LinearOptions projection_of(const Transformer2DConfig& config) {
    return {.bias = true, .pointwise_conv = !config.use_linear_projection};
}

}  // namespace

Transformer2DModel::Transformer2DModel(const LoadContext& load, const WeightScope& scope,
                                       const Transformer2DConfig& config)
    : norm_(load, scope.sub("norm"), config.dims.channels, {config.norm_groups, config.norm_eps, false}),
      proj_in_(load, scope.sub("proj_in"), config.dims.channels, config.dims.channels, projection_of(config)),
      proj_out_(load, scope.sub("proj_out"), config.dims.channels, config.dims.channels,
                projection_of(config)) {
    for (int i = 0; i < config.depth; ++i)
        blocks_.emplace_back(load, scope.sub("transformer_blocks", i), config.dims);
}

void Transformer2DModel::project_context(const Context& ctx, const Tensor& context,
                                         std::vector<Tensor>& kv) const {
    for (const auto& block : blocks_) kv.push_back(block.project_context(ctx, context));
}

Tensor Transformer2DModel::forward(const Context& ctx, const Tensor& x,
                                   std::span<const CrossContext> contexts, std::int64_t perturbed) const {
    if (contexts.size() != blocks_.size())
        fail(ErrorCode::kInternal, "a transformer needs one context for each block");
    const Shape tokens{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};                   // [N, H * W, C]
    Tensor hidden = proj_in_.forward(ctx, norm_.forward(ctx, x).reshape(tokens));  // [N, H * W, C]
    for (std::size_t i = 0; i < blocks_.size(); ++i)
        hidden = blocks_[i].forward(ctx, hidden, contexts[i], perturbed);
    return proj_out_.forward(ctx, hidden, x.reshape(tokens)).reshape(x.shape());  // [N, H, W, C]
}

}  // namespace sdxl::nn
