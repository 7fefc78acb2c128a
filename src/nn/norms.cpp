#include "nn/norms.h"

namespace sdxl::nn {
namespace {

Slotted<NormWeights> bind(const LoadContext& load, const WeightScope& scope, std::int64_t channels) {
    return {load, {scope.path("weight"), scope.path("bias")}, [load, scope, channels] {
                const auto read = [&](std::string_view name) {
                    return load.backend.upload(to_f32(scope.get(name, {channels})), {channels}, DType::kF32);
                };
                return NormWeights{read("weight"), read("bias")};
            }};
}

}  // namespace

GroupNorm::GroupNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels,
                     ops::GroupNormOptions options)
    : weights_(bind(load, scope, channels)), options_(options) {}

LayerNorm::LayerNorm(const LoadContext& load, const WeightScope& scope, std::int64_t channels, float eps)
    : weights_(bind(load, scope, channels)), eps_(eps) {}

}  // namespace sdxl::nn
