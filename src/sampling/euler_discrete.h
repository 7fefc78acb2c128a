// Euler's method on the probability-flow ODE. Karras et al. 2022 (https://arxiv.org/abs/2206.00364),
// algorithm 2 without churn; as diffusers `EulerDiscreteScheduler`. Draws no noise.
#pragma once

#include "sampling/variance_exploding.h"

namespace sdxl {

class EulerDiscreteScheduler final : public VarianceExplodingScheduler {
  public:
    explicit EulerDiscreteScheduler(const SchedulerConfig& config) : VarianceExplodingScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;
};

}  // namespace sdxl
