// How much noise the model was trained with at each of its timesteps.
#pragma once

#include <vector>

#include "sampling/scheduler_config.h"

namespace sdxl {

struct NoiseSchedule {
    std::vector<float> alphas_cumprod;  // [num_train_timesteps], falling
    std::vector<float> sigmas;          // [num_train_timesteps], sqrt((1 - a) / a), rising
};

// In float32 with a double running product, as torch computes it. Fails with kInvalidModel where the betas
// leave 0 .. 1. Sources: Ho et al. 2020 (linear), Rombach et al. 2022 (scaled linear), Nichol and Dhariwal
// 2021 (squared cosine), Lin et al. 2023, https://arxiv.org/abs/2305.08891, algorithm 1 (zero terminal SNR;
// the last alpha is then 2^-24, so that no sigma is infinite, as in diffusers).
NoiseSchedule make_noise_schedule(const SchedulerConfig& config);

}  // namespace sdxl
