#include "nn/conv2d.h"

namespace sdxl::nn {

Conv2d::Conv2d(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out,
               const Conv2dOptions& options) {
    const auto names = tensor_names({scope}, options.bias);
    const Shape shape{out, in, options.kernel, options.kernel};
    const auto bias = [scope, out, has_bias = options.bias] {
        return has_bias ? scope.get("bias", {out}) : HostView{};
    };
    if (options.kernel == 1 && options.stride == 1) {
        pointwise_.emplace(load, names, [load, scope, shape, bias, has_bias = options.bias] {
            const HostView weight = scope.get("weight", shape);
            auto prepared = ops::prepare_linear(
                load, {{weight}, has_bias ? std::vector{bias()} : std::vector<HostView>{}});
            scope.release("weight");
            return prepared;
        });
        return;
    }
    spatial_.emplace(load, names, [load, scope, shape, bias, options] {
        const HostView weight = scope.get("weight", shape);
        auto prepared = ops::prepare_conv2d(load, {weight, bias(), options.stride, options.padding});
        scope.release("weight");
        return prepared;
    });
}

Tensor Conv2d::forward(const Context& ctx, const Tensor& x, const Tensor& residual) const {
    if (pointwise_) return ops::linear(ctx, x, **pointwise_, residual);
    return ops::conv2d(ctx, x, **spatial_, residual);
}

}  // namespace sdxl::nn
