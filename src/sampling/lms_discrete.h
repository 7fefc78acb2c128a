// Linear multistep: Adams-Bashforth of order 4 on the probability-flow ODE, its coefficients for the uneven
// sigmas integrated exactly. Source: k-diffusion `sample_lms`; as diffusers `LMSDiscreteScheduler` (which
// integrates numerically). Draws no noise.
#pragma once

#include "sampling/variance_exploding.h"

namespace sdxl {

class LmsDiscreteScheduler final : public VarianceExplodingScheduler {
  public:
    explicit LmsDiscreteScheduler(const SchedulerConfig& config) : VarianceExplodingScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  protected:
    void lay_out(const StepPlan& plan) override;

  private:
    double coefficient(int call, int which, int order) const;

    std::vector<std::vector<float>> derivatives_;  // of the last steps, the newest first
};

}  // namespace sdxl
