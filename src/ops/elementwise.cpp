#include "ops/checks.h"
#include "ops/ops.h"

namespace sdxl::ops {
namespace {

std::int64_t elements(const Tensor& y) {
    return y.shape().numel();
}

void require_affine(std::string_view op, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
    require_defined(op, {&x, &gamma, &beta});
    const Shape channels{x.dim(-1)};
    require(gamma.shape() == channels && beta.shape() == channels, op, "gamma and beta must be [C]",
            {&x, &gamma, &beta});
    require(gamma.dtype() == DType::kF32 && beta.dtype() == DType::kF32, op, "gamma and beta must be float32",
            {&x, &gamma, &beta});
}

}  // namespace

Tensor group_norm(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const GroupNormOptions& options, const Tensor& shift) {
    constexpr std::string_view kOp = "group_norm";
    require_affine(kOp, x, gamma, beta);
    require(x.shape().rank() >= 3 && x.contiguous(), kOp, "x must be contiguous [N, ..., C]", {&x});
    require(options.groups > 0 && x.dim(-1) % options.groups == 0, kOp, "groups must divide C", {&x});
    if (shift.defined()) {
        require(shift.shape() == Shape{x.dim(0), x.dim(-1)} && shift.dtype() == DType::kF32, kOp,
                "shift must be float32 [N, C]", {&x, &shift});
    }
    if (ctx.norms != nullptr && ctx.norms->applies() && !shift.defined())
        return run(
            ctx, kOp, {&x},
            [&] {
                return ctx.backend.group_norm_by(x, gamma, beta, ctx.norms->next(), options.eps,
                                                 options.silu);
            },
            elements);
    if (ctx.norms != nullptr && !shift.defined()) {
        const std::int64_t values_each = x.shape().numel() / x.dim(0) / options.groups;
        ctx.norms->add(ctx.backend.group_moments(x, options.groups), static_cast<double>(values_each));
    }
    return run(
        ctx, kOp, {&x, &shift},
        [&] {
            return ctx.backend.group_norm(x, gamma, beta, options.groups, options.eps, options.silu, shift);
        },
        elements);
}

Tensor layer_norm(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
    constexpr std::string_view kOp = "layer_norm";
    require_affine(kOp, x, gamma, beta);
    require(x.contiguous(), kOp, "x must be contiguous", {&x});
    return run(
        ctx, kOp, {&x}, [&] { return ctx.backend.layer_norm(x, gamma, beta, eps); }, elements);
}

Tensor activate(const Context& ctx, const Tensor& x, Activation activation) {
    constexpr std::string_view kOp = "activate";
    require_defined(kOp, {&x});
    require(x.contiguous(), kOp, "x must be contiguous", {&x});
    return run(
        ctx, kOp, {&x}, [&] { return ctx.backend.activate(x, activation); }, elements);
}

Tensor add(const Context& ctx, const Tensor& a, const Tensor& b) {
    constexpr std::string_view kOp = "add";
    require_defined(kOp, {&a, &b});
    require(a.shape() == b.shape() && a.dtype() == b.dtype() && a.contiguous() && b.contiguous(), kOp,
            "both must be contiguous and of one shape and type", {&a, &b});
    return run(
        ctx, kOp, {&a, &b}, [&] { return ctx.backend.add(a, b); }, elements);
}

Tensor add_scaled(const Context& ctx, const Tensor& a, const Tensor& b, float factor) {
    constexpr std::string_view kOp = "add_scaled";
    require_defined(kOp, {&a, &b});
    require(a.shape() == b.shape() && a.dtype() == b.dtype() && a.contiguous() && b.contiguous(), kOp,
            "both must be contiguous and of one shape and type", {&a, &b});
    return run(
        ctx, kOp, {&a, &b}, [&] { return ctx.backend.add_scaled(a, b, factor); },
        [](const Tensor& y) { return 2 * elements(y); });
}

Tensor scale_channels(const Context& ctx, const Tensor& x, std::int64_t channels, float factor) {
    constexpr std::string_view kOp = "scale_channels";
    require_defined(kOp, {&x});
    require(x.contiguous() && channels >= 0 && channels <= x.dim(-1), kOp,
            "x must be contiguous and have that many channels", {&x});
    return run(
        ctx, kOp, {&x}, [&] { return ctx.backend.scale_channels(x, channels, factor); }, elements);
}

std::vector<float> channel_means(const Context& ctx, const Tensor& x) {
    constexpr std::string_view kOp = "channel_means";
    require_defined(kOp, {&x});
    require(x.shape().rank() >= 3 && x.contiguous(), kOp, "x must be contiguous [N, ..., C]", {&x});
    if (ctx.cancel != nullptr) ctx.cancel->check();
    const auto means = ctx.backend.group_moments(x, static_cast<int>(x.dim(-1))).mean;
    return {means.begin(), means.end()};
}

Tensor scale_low_frequencies(const Context& ctx, const Tensor& x, float factor) {
    constexpr std::string_view kOp = "scale_low_frequencies";
    require_defined(kOp, {&x});
    require(x.shape().rank() == 4 && x.contiguous(), kOp, "x must be contiguous [N, H, W, C]", {&x});
    return run(
        ctx, kOp, {&x}, [&] { return ctx.backend.scale_low_frequencies(x, factor); }, elements);
}

}  // namespace sdxl::ops
