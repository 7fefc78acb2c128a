// Ancestral sampling with Euler steps: each step goes further down than asked for and adds fresh noise back.
// Source: k-diffusion `sample_euler_ancestral` (eta 1); as diffusers `EulerAncestralDiscreteScheduler`. Noise
// is drawn at every step, the last one (where none is added) included, as diffusers does. Karras sigmas are
// honoured, which diffusers 0.27 does not offer here.
#pragma once

#include "sampling/variance_exploding.h"

namespace sdxl {

class EulerAncestralDiscreteScheduler final : public VarianceExplodingScheduler {
  public:
    explicit EulerAncestralDiscreteScheduler(const SchedulerConfig& config)
        : VarianceExplodingScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;
};

}  // namespace sdxl
