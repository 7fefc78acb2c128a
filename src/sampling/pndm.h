// PNDM in its PLMS form: Adams-Bashforth of order 4 on the model's outputs, started by one step of Heun's
// kind, so that n steps make n + 1 calls. Liu et al. 2022 (https://arxiv.org/abs/2202.09778); as diffusers
// `PNDMScheduler` with `skip_prk_steps`. Draws no noise.
#pragma once

#include "sampling/trained_timesteps.h"

namespace sdxl {

class PndmScheduler final : public TrainedTimestepScheduler {
  public:
    // Fails with kUnsupported for the Runge-Kutta start (skip_prk_steps false) and for zero terminal SNR,
    // at which the method's transfer divides by 0.
    explicit PndmScheduler(const SchedulerConfig& config);

    std::unique_ptr<Scheduler> clone() const override;
    int first_call(int step) const override { return step == 0 ? 0 : step + 1; }
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  protected:
    void lay_out(const StepPlan& plan) override;

  private:
    std::vector<float> extrapolate() const;
    std::vector<float> transfer(std::span<const float> model_output, int from, int to,
                                std::span<const float> sample) const;

    std::vector<std::vector<float>> outputs_;  // of the last steps, the newest first
    std::vector<float> start_;                 // the sample of the first call
};

}  // namespace sdxl
