// DDIM, deterministic (eta 0). Song et al. 2020 (https://arxiv.org/abs/2010.02502), eq. 12; as diffusers
// `DDIMScheduler`. Draws no noise.
#pragma once

#include "sampling/trained_timesteps.h"

namespace sdxl {

class DdimScheduler final : public TrainedTimestepScheduler {
  public:
    explicit DdimScheduler(const SchedulerConfig& config) : TrainedTimestepScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;
};

}  // namespace sdxl
