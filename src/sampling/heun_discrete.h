// Heun's method on the probability-flow ODE: an Euler step, then again with the mean of the slopes at both
// ends. Karras et al. 2022 (https://arxiv.org/abs/2206.00364), algorithm 1; as diffusers
// `HeunDiscreteScheduler`. Draws no noise.
#pragma once

#include "sampling/two_call.h"

namespace sdxl {

class HeunDiscreteScheduler final : public TwoCallScheduler {
  public:
    explicit HeunDiscreteScheduler(const SchedulerConfig& config) : TwoCallScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;

  protected:
    void lay_out(const StepPlan& plan) override;
    float middle_of(float, float to) const override { return to; }
    std::vector<float> first_part(const Step& step, std::span<const float> denoised,
                                  std::span<const float> start, NoiseSource& noise) override;
    std::vector<float> whole_step(const Step& step, std::span<const float> denoised,
                                  std::span<const float> middle, std::span<const float> start,
                                  NoiseSource& noise) override;

  private:
    std::vector<float> first_slope_;
};

}  // namespace sdxl
