#include "nn/norms.h"

namespace sdxl::nn {
namespace {

Tensor bind_channels(const LoadContext& load, const WeightScope& scope, std::string_view name,
                     std::int64_t channels) {
    const auto values = to_f32(scope.get(name, {channels}));
    return load.backend.upload(values, {channels}, DType::kF32);
}

}  // namespace

GroupNorm::GroupNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                     ops::GroupNormOptions options)
    : gamma_(bind_channels(load, scope, "weight", channels)),
      beta_(bind_channels(load, scope, "bias", channels)),
      options_(options) {}

LayerNorm::LayerNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels, float eps)
    : gamma_(bind_channels(load, scope, "weight", channels)),
      beta_(bind_channels(load, scope, "bias", channels)),
      eps_(eps) {}

}  // namespace sdxl::nn
