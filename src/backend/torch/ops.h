// Ops that libtorch does not have as one, in the layouts of backend.h: x [N, ..., C], row-major.
//
// Norms sum in float32 whatever x is; results have x's element type.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "backend/torch/aten.h"

namespace sdxl::torch {

// Changes x in place where libtorch can.
at::Tensor activate(const at::Tensor& x, Activation activation);

// q [N, Lq, C], k and v [N, Lk, C], any row stride -> [N, Lq, C]. By libtorch's fused kernel where this
// version has one for the device; else slices of heads and queries, so that the scores take `score_bytes` at
// most (of one query at the least).
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int heads, bool causal,
                     std::uint64_t score_bytes);

// Mean and biased variance of each group of channels, both float32 [N, groups].
struct Moments {
    at::Tensor mean, variance;
};
Moments group_moments(const at::Tensor& x, int groups);
at::Tensor group_norm_by(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                         const Moments& moments, float eps, bool silu);
// `shift` may be undefined.
at::Tensor group_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, int groups,
                      float eps, bool silu, const at::Tensor& shift);
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, float eps);

// x [N, H, W, C]
at::Tensor scale_low_frequencies(const at::Tensor& x, float factor);

}  // namespace sdxl::torch
