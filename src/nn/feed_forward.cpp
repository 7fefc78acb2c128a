#include "nn/feed_forward.h"

namespace sdxl::nn {
namespace {

Slotted<ops::GegluWeight> bind_geglu(const LoadContext& load, const WeightScope& scope, std::int64_t in,
                                     std::int64_t inner) {
    return {load, tensor_names({scope}, true), [load, scope, in, inner] {
                auto weight = ops::prepare_geglu(
                    load, {{scope.get("weight", {2 * inner, in})}, {scope.get("bias", {2 * inner})}});
                scope.release("weight");
                return weight;
            }};
}

}  // namespace

FeedForward::FeedForward(const LoadContext& load, const WeightScope& scope, std::int64_t channels)
    : proj_(bind_geglu(load, scope.sub("net.0.proj"), channels, 4 * channels)),
      out_(load, scope.sub("net.2"), 4 * channels, channels) {}

Tensor FeedForward::forward(const Context& ctx, const Tensor& x, const Tensor& residual) const {
    const Tensor hidden = ops::geglu(ctx, x, *proj_);  // [N, L, 4 * C]
    return out_.forward(ctx, hidden, residual);        // [N, L, C]
}

}  // namespace sdxl::nn
