#include <algorithm>

#include "ops/checks.h"
#include "ops/ops.h"

namespace sdxl::ops {
namespace {

std::int64_t nothing(const Tensor&) {
    return 0;
}

bool doubles(std::int64_t from, std::int64_t to) {
    return to == 2 * from || to == 2 * from - 1;
}

}  // namespace

Tensor concat_batch(const Context& ctx, const Tensor& a, const Tensor& b) {
    constexpr std::string_view kOp = "concat_batch";
    require_defined(kOp, {&a, &b});
    require(a.shape().rank() == 3 && b.shape().rank() == 3 && a.dim(1) == b.dim(1) && a.dim(2) == b.dim(2) &&
                a.dtype() == b.dtype(),
            kOp, "must be [N, L, C] and [M, L, C]", {&a, &b});
    return run(
        ctx, kOp, {&a, &b}, [&] { return ctx.backend.concat_batch(a, b); }, nothing);
}

Tensor concat_channels(const Context& ctx, const Tensor& a, const Tensor& b) {
    constexpr std::string_view kOp = "concat_channels";
    require_defined(kOp, {&a, &b});
    require(a.shape().rank() == 4 && b.shape().rank() == 4 && a.dim(0) == b.dim(0) && a.dim(1) == b.dim(1) &&
                a.dim(2) == b.dim(2) && a.dtype() == b.dtype(),
            kOp, "must be [N, H, W, A] and [N, H, W, B]", {&a, &b});
    require(a.contiguous() && b.contiguous(), kOp, "must be contiguous", {&a, &b});
    return run(
        ctx, kOp, {&a, &b}, [&] { return ctx.backend.concat_channels(a, b); }, nothing);
}

Tensor upsample_nearest2x(const Context& ctx, const Tensor& x, std::int64_t height, std::int64_t width) {
    constexpr std::string_view kOp = "upsample_nearest2x";
    require_defined(kOp, {&x});
    require(x.shape().rank() == 4 && x.contiguous(), kOp, "x must be contiguous [N, H, W, C]", {&x});
    require(doubles(x.dim(1), height) && doubles(x.dim(2), width), kOp,
            "the result must be twice as large, less at most one row or column", {&x});
    return run(
        ctx, kOp, {&x}, [&] { return ctx.backend.upsample_nearest2x(x, height, width); }, nothing);
}

Tensor embed(const Context& ctx, const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
             const HostView& positions) {
    constexpr std::string_view kOp = "embed";
    const std::string shapes = table.shape.str() + " " + positions.shape.str();
    const auto count = static_cast<std::int64_t>(ids.size());
    if (table.data == nullptr || table.shape.rank() != 2) refuse(kOp, "the table must be [V, C]", shapes);
    if (batch <= 0 || count == 0 || count % batch != 0) refuse(kOp, "ids must be N x L", shapes);
    if (positions.data != nullptr && positions.shape != Shape{count / batch, table.shape[1]}) {
        refuse(kOp, "positions must be [L, C]", shapes);
    }
    const bool inside =
        std::all_of(ids.begin(), ids.end(), [&](std::int32_t id) { return id >= 0 && id < table.shape[0]; });
    if (!inside) refuse(kOp, "an id is outside the table", shapes);
    return run(
        ctx, kOp, {}, [&] { return ctx.backend.embed(table, ids, batch, positions, ctx.compute); }, nothing);
}

Tensor cast(const Context& ctx, const Tensor& x, DType dtype) {
    require_defined("cast", {&x});
    if (x.dtype() == dtype) return x;
    return run(
        ctx, "cast", {&x}, [&] { return ctx.backend.cast(x, dtype); }, nothing);
}

Tensor upload(const Context& ctx, std::span<const float> values, const Shape& shape) {
    if (static_cast<std::int64_t>(values.size()) != shape.numel()) {
        refuse("upload", std::to_string(values.size()) + " values", shape.str());
    }
    return run(
        ctx, "upload", {}, [&] { return ctx.backend.upload(values, shape, ctx.compute); }, nothing);
}

std::vector<float> download(const Context& ctx, const Tensor& x) {
    require_defined("download", {&x});
    require(x.contiguous(), "download", "x must be contiguous", {&x});
    if (ctx.cancel != nullptr) ctx.cancel->check();
    return ctx.backend.download(x);
}

}  // namespace sdxl::ops
