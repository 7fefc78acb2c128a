#include "nn/linear.h"

namespace sdxl::nn {
namespace {

Slotted<ops::LinearWeight> bind(const LoadContext& load, const std::vector<WeightScope>& scopes,
                                const Shape& shape, bool bias) {
    return {load, tensor_names(scopes, bias), [load, scopes, shape, bias] {
                LinearSource source;
                for (const WeightScope& scope : scopes) {
                    source.weights.push_back(scope.get("weight", shape));
                    if (bias) source.biases.push_back(scope.get("bias", {shape[0]}));
                }
                auto weight = ops::prepare_linear(load, source);
                for (const WeightScope& scope : scopes) scope.release("weight");
                return weight;
            }};
}

}  // namespace

std::vector<std::string> tensor_names(const std::vector<WeightScope>& scopes, bool bias) {
    std::vector<std::string> names;
    for (const WeightScope& scope : scopes) {
        names.push_back(scope.path("weight"));
        if (bias) names.push_back(scope.path("bias"));
    }
    return names;
}

Linear::Linear(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out,
               LinearOptions options)
    : weight_(bind(load, {scope}, options.pointwise_conv ? Shape{out, in, 1, 1} : Shape{out, in},
                   options.bias)) {}

Slotted<ops::LinearWeight> bind_stacked_linear(const LoadContext& load,
                                               const std::vector<WeightScope>& scopes, std::int64_t in,
                                               std::int64_t out, bool bias) {
    return bind(load, scopes, {out, in}, bias);
}

}  // namespace sdxl::nn
