// From a plan and a configuration to the timesteps and noise levels of a generation: spacings, ramps and
// lists of one's own, in one place for all schedulers.
#pragma once

#include <span>
#include <vector>

#include "sampling/scheduler.h"
#include "sampling/scheduler_config.h"

namespace sdxl {

// Where the families of schedulers differ.
struct LayoutRules {
    int last_timestep = 1000;      // below num_train_timesteps where the least noisy end is cut off
    bool drop_last = false;        // see GridConfig
    bool round_linspace = false;   //
    bool ramp_over_train = false;  // ramps run over the training schedule, else over the evenly spaced sigmas
    bool round_ramp = false;       // the timesteps of ramps to whole ones
};

struct StepLayout {
    std::vector<double> timesteps;  // [steps], falling
    std::vector<double> sigmas;     // [steps], falling; where the last step ends is not among them
};

// What `sigma_schedule` and diffusers' flags in the configuration come to.
SigmaSchedule sigma_schedule_of(const SchedulerConfig& config);

// Fails with kInvalidRequest where the training schedule cannot hold the plan. `train_sigmas` rise.
StepLayout lay_out_steps(const SchedulerConfig& config, std::span<const float> train_sigmas,
                         const LayoutRules& rules, const StepPlan& plan);

// For schedulers that visit whole timesteps only: the nearest ones that still fall strictly.
std::vector<int> whole_timesteps(std::span<const double> timesteps);

std::vector<float> to_float(std::span<const double> values);

}  // namespace sdxl
