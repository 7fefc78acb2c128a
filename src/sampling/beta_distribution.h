// Quantiles of the beta distribution, in double precision.
#pragma once

namespace sdxl {

// The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22).
// REQUIRES: 0 <= x <= 1; a, b > 0.
double regularised_incomplete_beta(double a, double b, double x);

// The x at which I_x(a, b) = p, to about 1e-14. REQUIRES: 0 <= p <= 1; a, b > 0.
double beta_quantile(double a, double b, double p);

}  // namespace sdxl
