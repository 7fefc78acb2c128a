#include "ops/checks.h"
#include "ops/ops.h"

namespace sdxl::ops {
namespace {

Shape with_channels(const Tensor& x, std::int64_t channels) {
    auto dims = x.shape().dims();
    dims.back() = channels;
    return Shape(std::move(dims));
}

std::int64_t conv_extent(std::int64_t in, std::int64_t kernel, int before, int after, int stride) {
    const std::int64_t room = in + before + after - kernel;
    return room < 0 ? 0 : room / stride + 1;
}

Shape conv_shape(const Tensor& x, const ConvWeight& w) {
    return {x.dim(0), conv_extent(x.dim(1), w.kernel_height, w.padding.top, w.padding.bottom, w.stride),
            conv_extent(x.dim(2), w.kernel_width, w.padding.left, w.padding.right, w.stride), w.out};
}

}  // namespace

Tensor linear(const Context& ctx, const Tensor& x, const LinearWeight& weight, const Tensor& residual,
              Activation activation) {
    constexpr std::string_view kOp = "linear";
    require_defined(kOp, {&x});
    require(x.shape().rank() >= 2 && x.dim(-1) == weight.in, kOp, "x must be [..., in]", {&x});
    if (residual.defined()) {
        require(residual.shape() == with_channels(x, weight.out), kOp,
                "the residual must have the result's shape", {&x, &residual});
        require(activation == Activation::kNone, kOp, "no activation beside a residual", {&x, &residual});
    }
    return run(
        ctx, kOp, {&x, &residual},
        [&] { return ctx.backend.linear(x, *weight.weight, activation, residual); },
        [&](const Tensor& y) { return 2 * y.shape().numel() * weight.in; });
}

Tensor geglu(const Context& ctx, const Tensor& x, const GegluWeight& weight) {
    constexpr std::string_view kOp = "geglu";
    require_defined(kOp, {&x});
    require(x.shape().rank() >= 2 && x.dim(-1) == weight.in, kOp, "x must be [..., in]", {&x});
    return run(
        ctx, kOp, {&x}, [&] { return ctx.backend.geglu(x, *weight.weight); },
        [&](const Tensor& y) { return 4 * y.shape().numel() * weight.in; });
}

Tensor conv2d(const Context& ctx, const Tensor& x, const ConvWeight& weight, const Tensor& residual) {
    constexpr std::string_view kOp = "conv2d";
    require_defined(kOp, {&x});
    require(x.shape().rank() == 4 && x.dim(-1) == weight.in && x.contiguous(), kOp,
            "x must be contiguous [N, H, W, in]", {&x});
    const Shape result = conv_shape(x, weight);
    require(result.numel() > 0, kOp, "x is smaller than the kernel", {&x});
    if (residual.defined()) {
        require(residual.shape() == result, kOp, "the residual must have the result's shape",
                {&x, &residual});
    }
    return run(
        ctx, kOp, {&x, &residual}, [&] { return ctx.backend.conv2d(x, *weight.weight, residual); },
        [&](const Tensor& y) {
            return 2 * y.shape().numel() * weight.in * weight.kernel_height * weight.kernel_width;
        });
}

Tensor attention(const Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                 bool causal) {
    constexpr std::string_view kOp = "attention";
    require_defined(kOp, {&q, &k, &v});
    require(q.shape().rank() == 3 && k.shape().rank() == 3 && k.shape() == v.shape() &&
                q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2),
            kOp, "q must be [N, Lq, C], k and v [N, Lk, C]", {&q, &k, &v});
    require(heads > 0 && q.dim(2) % heads == 0, kOp, "heads must divide C", {&q});
    require(!causal || q.dim(1) == k.dim(1), kOp, "causal attention needs Lq == Lk", {&q, &k});
    return run(
        ctx, kOp, {&q, &k, &v}, [&] { return ctx.backend.attention(q, k, v, heads, causal); },
        [&](const Tensor& y) { return 4 * y.shape().numel() * k.dim(1); });
}

}  // namespace sdxl::ops
