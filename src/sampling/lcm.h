// LCM: multistep consistency sampling. Luo et al. 2023 (https://arxiv.org/abs/2310.04378), algorithm 3; as
// diffusers `LCMScheduler`. Draws noise at every step but the last.
#pragma once

#include "sampling/distilled.h"

namespace sdxl {

class LcmScheduler final : public DistilledScheduler {
  public:
    explicit LcmScheduler(const SchedulerConfig& config) : DistilledScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;
};

}  // namespace sdxl
