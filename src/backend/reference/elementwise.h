// Norms, activations and movement. Contracts as in backend.h.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"

namespace sdxl::reference {

// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016 (erf form and the sigmoid approximation).
double apply(Activation activation, double x);

Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, int groups, float eps, bool silu,
                  const Tensor& shift);
GroupMoments group_moments(const Tensor& x, int groups);
Tensor group_norm_by(const Tensor& x, const Tensor& gamma, const Tensor& beta, const GroupMoments& moments,
                     float eps, bool silu);
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps);
Tensor activate(const Tensor& x, Activation activation);
Tensor add(const Tensor& a, const Tensor& b);
Tensor add_scaled(const Tensor& a, const Tensor& b, float factor);
Tensor scale_channels(const Tensor& x, std::int64_t channels, float factor);
Tensor scale_low_frequencies(const Tensor& x, float factor);
Tensor concat_batch(const Tensor& a, const Tensor& b);
Tensor concat_channels(const Tensor& a, const Tensor& b);
Tensor upsample_nearest2x(const Tensor& x, std::int64_t height, std::int64_t width);
Tensor embed(const HostView& table, std::span<const std::int32_t> ids, std::int64_t batch,
             const HostView& positions);

}  // namespace sdxl::reference
