// Group normalisation over channels-last activations, on all cores.
#pragma once

#include "backend/backend.h"
#include "tensor/tensor.h"

namespace sdxl::onednn {

// y = f((x + shift - mean) / sqrt(var + eps) * gamma + beta), f is SiLU or nothing. x, y [N, ..., C]; gamma,
// beta [C]; shift [N, C] or null. Two passes over x: moments per channel, then one fused multiply, add and
// activation.
void group_norm(const Tensor& x, const float* gamma, const float* beta, int groups, float eps, bool silu,
                const float* shift, const Tensor& y);

GroupMoments group_moments(const Tensor& x, int groups);
// The second pass alone.
void group_norm_by(const Tensor& x, const float* gamma, const float* beta, const GroupMoments& moments,
                   float eps, bool silu, const Tensor& y);

}  // namespace sdxl::onednn
