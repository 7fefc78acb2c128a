// The step formulas of DPM-Solver (https://arxiv.org/abs/2206.00927) and DPM-Solver++
// (https://arxiv.org/abs/2211.01095), which their multistep and singlestep forms share.
//
//     next = sample * x + d0 * D0 + d1 * D1 + d2 * D2 + noise * z
//
// D0 is the converted output at the start of the step, D1 and D2 its divided differences in lambda, both in
// units of the step.
#pragma once

#include "sampling/prediction.h"
#include "sampling/scheduler_config.h"

namespace sdxl {

struct DpmCoefficients {
    float sample = 0, d0 = 0, d1 = 0, d2 = 0, noise = 0;
};

// Coefficients of a step of order 1 to 3 of length h = lambda(to) - lambda(from) > 0 (infinite where `to` is
// without noise, which order 1 allows). The midpoint form of order 3 is k-diffusion's and diffusers' only
// one.
DpmCoefficients dpm_coefficients(DpmAlgorithm algorithm, DpmSolverType type, int order, const MixLevel& from,
                                 const MixLevel& to, float h);

bool is_sde(DpmAlgorithm algorithm);
bool predicts_data(DpmAlgorithm algorithm);  // the "++" variants; the others extrapolate noise

}  // namespace sdxl
