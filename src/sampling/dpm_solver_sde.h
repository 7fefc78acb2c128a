// DPM++ SDE: the singlestep DPM-Solver++ of order 2 on the diffusion SDE, ancestral at both its calls. Lu et
// al. 2022 (https://arxiv.org/abs/2211.01095); as k-diffusion `sample_dpmpp_sde` (eta 1, r 1/2) and diffusers
// `DPMSolverSDEScheduler`. The noises of a step's two calls are increments of one Brownian path over the
// noise levels, as there; the path is drawn from the NoiseSource.
#pragma once

#include "sampling/two_call.h"

namespace sdxl {

class DpmSolverSdeScheduler final : public TwoCallScheduler {
  public:
    explicit DpmSolverSdeScheduler(const SchedulerConfig& config) : TwoCallScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;

  protected:
    void lay_out(const StepPlan& plan) override;
    float middle_of(float from, float to) const override;
    std::vector<float> first_part(const Step& step, std::span<const float> denoised,
                                  std::span<const float> start, NoiseSource& noise) override;
    std::vector<float> whole_step(const Step& step, std::span<const float> denoised,
                                  std::span<const float> middle, std::span<const float> start,
                                  NoiseSource& noise) override;

  private:
    std::vector<float> first_noise_;  // of the path's part from the step's start to its middle
};

}  // namespace sdxl
