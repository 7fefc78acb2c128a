// DDPM: ancestral sampling of the posterior, as the model was trained. Ho et al. 2020
// (https://arxiv.org/abs/2006.11239), eq. 7, with the small or the large variance; as diffusers
// `DDPMScheduler`. Draws noise at every step that does not start at timestep 0.
#pragma once

#include "sampling/trained_timesteps.h"

namespace sdxl {

class DdpmScheduler final : public TrainedTimestepScheduler {
  public:
    explicit DdpmScheduler(const SchedulerConfig& config) : TrainedTimestepScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;
};

}  // namespace sdxl
