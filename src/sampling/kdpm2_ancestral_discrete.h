// DPM2 ancestral: the midpoint method down to below the step's end, and fresh noise back up. k-diffusion
// `sample_dpm_2_ancestral` (eta 1); as diffusers `KDPM2AncestralDiscreteScheduler`, which draws noise at
// every call although it is only added by the second one of a step.
#pragma once

#include "sampling/two_call.h"

namespace sdxl {

class Kdpm2AncestralDiscreteScheduler final : public TwoCallScheduler {
  public:
    explicit Kdpm2AncestralDiscreteScheduler(const SchedulerConfig& config) : TwoCallScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;

  protected:
    float middle_of(float from, float to) const override;
    std::vector<float> first_part(const Step& step, std::span<const float> denoised,
                                  std::span<const float> start, NoiseSource& noise) override;
    std::vector<float> whole_step(const Step& step, std::span<const float> denoised,
                                  std::span<const float> middle, std::span<const float> start,
                                  NoiseSource& noise) override;
};

}  // namespace sdxl
