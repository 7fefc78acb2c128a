// Sigmas that do not follow from evenly spaced timesteps: the ramps that a request may choose.
#pragma once

#include <vector>

namespace sdxl {

// All give [steps] sigmas from sigma_max down; the ramps end at sigma_min. REQUIRES: steps >= 1;
// 0 < sigma_min <= sigma_max.

// Rho 7. Karras et al. 2022, https://arxiv.org/abs/2206.00364, eq. 5.
std::vector<double> karras_sigmas(double sigma_min, double sigma_max, int steps);

// Even in log sigma. k-diffusion `get_sigmas_exponential`.
std::vector<double> exponential_sigmas(double sigma_min, double sigma_max, int steps);

// Quantiles of the beta distribution (0.6, 0.6) between the two sigmas: dense at both ends. Lee et al. 2024,
// https://arxiv.org/abs/2407.12173, in the form of diffusers' `use_beta_sigmas` (the paper places timesteps).
std::vector<double> beta_sigmas(double sigma_min, double sigma_max, int steps);

// Align Your Steps, Sabour et al. 2024, https://arxiv.org/abs/2404.14507: the noise levels published for SDXL
// and ten steps, other counts by log-linear interpolation of the whole list. What the list ends with is not
// among them: a scheduler has an end of its own.
std::vector<double> align_your_steps_sigmas(int steps);

}  // namespace sdxl
