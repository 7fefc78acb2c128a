// Which of the training timesteps are visited, and sigmas between them. Double precision throughout, as numpy
// has it.
#pragma once

#include <span>
#include <vector>

#include "request/names.h"

namespace sdxl {

// How one scheduler reads the three spacings of Lin et al. 2023 (https://arxiv.org/abs/2305.08891, table 2).
struct GridConfig {
    TimestepSpacing spacing = TimestepSpacing::kLinspace;
    int train_timesteps = 1000;
    int last_timestep = 1000;  // below train_timesteps where the least noisy end is cut off
    int steps_offset = 0;      // added under "leading"
    // Some schedulers lay one point more and leave the least noisy one out (diffusers' DPM-Solver).
    bool drop_last = false;
    bool round_linspace = false;  // to whole timesteps
};

// [steps] timesteps, falling. Fails with kInvalidRequest where more steps are asked for than the training
// schedule can hold. Always exactly `steps` of them (numpy's arange gives one too many for a few trailing
// counts).
std::vector<double> timestep_grid(const GridConfig& config, int steps);

// `values` at a fractional index, clamped to its ends (numpy.interp over 0, 1, 2, ...).
double interpolate(std::span<const float> values, double index);

// [steps] values from `first` to `last`, evenly.
std::vector<double> even_ramp(double first, double last, int steps);

// The fractional timestep at which the training schedule has this sigma, by interpolation of log sigmas
// (rising).
double sigma_to_timestep(double sigma, std::span<const float> log_sigmas);

std::vector<float> log_of(std::span<const float> sigmas);

}  // namespace sdxl
