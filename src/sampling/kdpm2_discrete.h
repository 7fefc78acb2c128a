// DPM2: the midpoint method on the probability-flow ODE, the middle taken in log sigma. DPM-Solver-2 of Lu et
// al. 2022 (https://arxiv.org/abs/2206.00927) and Karras et al. 2022, algorithm 2; as k-diffusion
// `sample_dpm_2` and diffusers `KDPM2DiscreteScheduler`. Draws no noise.
#pragma once

#include "sampling/two_call.h"

namespace sdxl {

class Kdpm2DiscreteScheduler final : public TwoCallScheduler {
  public:
    explicit Kdpm2DiscreteScheduler(const SchedulerConfig& config) : TwoCallScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;

  protected:
    float middle_of(float from, float to) const override;
    std::vector<float> whole_step(const Step& step, std::span<const float> denoised,
                                  std::span<const float> middle, std::span<const float> start,
                                  NoiseSource& noise) override;
};

}  // namespace sdxl
