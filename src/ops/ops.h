// The ops that networks are made of. Each checks its shapes (Failure kInternal that names them), checks the
// context's cancel token, lets the context's backend compute, and records into the context's trace.
//
// Activations are channels-last: pictures and latents [N, H, W, C], tokens [N, L, C]. What each op computes
// stands in backend/backend.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/context.h"
#include "ops/prepared.h"

namespace sdxl::ops {

// x [..., in] -> [..., out]. `residual`, where defined, has the result's shape, and goes with no activation.
Tensor linear(const Context& ctx, const Tensor& x, const LinearWeight& weight, const Tensor& residual = {},
              Activation activation = Activation::kNone);
// x [..., in] -> [..., inner]
Tensor geglu(const Context& ctx, const Tensor& x, const GegluWeight& weight);
// x [N, H, W, in] -> [N, H', W', out]
Tensor conv2d(const Context& ctx, const Tensor& x, const ConvWeight& weight, const Tensor& residual = {});
// q [N, Lq, C], k and v [N, Lk, C] -> [N, Lq, C]
Tensor attention(const Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                 bool causal);

struct GroupNormOptions {
    int groups = 32;
    float eps = 1e-5F;
    bool silu = false;
};
// x [N, H, W, C] or [N, L, C]; gamma, beta float32 [C]; shift float32 [N, C], may be undefined.
Tensor group_norm(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const GroupNormOptions& options, const Tensor& shift = {});
// x [..., C]; gamma, beta float32 [C]
Tensor layer_norm(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps);
Tensor activate(const Context& ctx, const Tensor& x, Activation activation);
// a and b of one shape
Tensor add(const Context& ctx, const Tensor& a, const Tensor& b);
// a + factor * b, of one shape
Tensor add_scaled(const Context& ctx, const Tensor& a, const Tensor& b, float factor);

// The first `channels` of x [..., C] times `factor`.
Tensor scale_channels(const Context& ctx, const Tensor& x, std::int64_t channels, float factor);
// x [N, H, W, C] with its lowest frequencies times `factor`: FreeU's filter, see backend.h.
Tensor scale_low_frequencies(const Context& ctx, const Tensor& x, float factor);

// x [N, ..., C] -> the mean of each entry's channels, [N, C] in host memory.
std::vector<float> channel_means(const Context& ctx, const Tensor& x);

// a [N, L, C], b [M, L, C] -> [N + M, L, C]
Tensor concat_batch(const Context& ctx, const Tensor& a, const Tensor& b);
// a [N, H, W, A], b [N, H, W, B] -> [N, H, W, A + B]
Tensor concat_channels(const Context& ctx, const Tensor& a, const Tensor& b);
// x [N, H, W, C] -> [N, height, width, C]; height is 2H or 2H - 1, width 2W or 2W - 1
Tensor upsample_nearest2x(const Context& ctx, const Tensor& x, std::int64_t height, std::int64_t width);
// table [V, C], positions [L, C], ids N x L in [0, V) -> [N, L, C] in the context's element type
Tensor embed(const Context& ctx, const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
             const HostView& positions);
// The tensor itself if it has that element type already.
Tensor cast(const Context& ctx, const Tensor& x, DType dtype);
// values.size() == shape.numel(); into the context's element type.
Tensor upload(const Context& ctx, std::span<const float> values, const Shape& shape);
std::vector<float> download(const Context& ctx, const Tensor& x);

}  // namespace sdxl::ops
