#include "nn/linear.h"

namespace sdxl::nn {
namespace {

ops::LinearWeight bind(const LoadContext& load, const WeightScope& scope, const Shape& shape, bool bias) {
    LinearSource source;
    source.weights.push_back(scope.get("weight", shape));
    if (bias) source.biases.push_back(scope.get("bias", {shape[0]}));
    auto weight = ops::prepare_linear(load, source);
    scope.release("weight");
    return weight;
}

}  // namespace

Linear::Linear(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out,
               LinearOptions options)
    : weight_(
          bind(load, scope, options.pointwise_conv ? Shape{out, in, 1, 1} : Shape{out, in}, options.bias)) {}

ops::LinearWeight bind_stacked_linear(const LoadContext& load, const std::vector<WeightScope>& scopes,
                                      std::int64_t in, std::int64_t out, bool bias) {
    LinearSource source;
    for (const WeightScope& scope : scopes) {
        source.weights.push_back(scope.get("weight", {out, in}));
        if (bias) source.biases.push_back(scope.get("bias", {out}));
    }
    auto weight = ops::prepare_linear(load, source);
    for (const WeightScope& scope : scopes) scope.release("weight");
    return weight;
}

}  // namespace sdxl::nn
