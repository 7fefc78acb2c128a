#include "nn/conv2d.h"

namespace sdxl::nn {

Conv2d::Conv2d(const LoadContext& load, const WeightScope& scope, std::int64_t in, std::int64_t out,
               const Conv2dOptions& options) {
    const HostView weight = scope.get("weight", {out, in, options.kernel, options.kernel});
    const HostView bias = options.bias ? scope.get("bias", {out}) : HostView{};
    if (options.kernel == 1 && options.stride == 1) {
        pointwise_ =
            ops::prepare_linear(load, {{weight}, options.bias ? std::vector{bias} : std::vector<HostView>{}});
    } else {
        spatial_ = ops::prepare_conv2d(load, {weight, bias, options.stride, options.padding});
    }
    scope.release("weight");
}

Tensor Conv2d::forward(const Context& ctx, const Tensor& x, const Tensor& residual) const {
    if (pointwise_) return ops::linear(ctx, x, *pointwise_, residual);
    return ops::conv2d(ctx, x, *spatial_, residual);
}

}  // namespace sdxl::nn
