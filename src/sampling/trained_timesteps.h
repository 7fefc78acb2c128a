// What the schedulers that visit whole training timesteps only have in common: DDIM, DDPM, PNDM, LCM and TCD.
// Samples are alpha * x0 + s * noise, alpha^2 + s^2 = 1.
#pragma once

#include "sampling/noise_schedule.h"
#include "sampling/prediction.h"
#include "sampling/scheduler.h"

namespace sdxl {

class TrainedTimestepScheduler : public Scheduler {
  public:
    float init_noise_sigma() const override { return 1; }
    std::vector<float> scale_model_input(std::span<const float> sample, int call) const override;
    std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                 int call) const override;

  protected:
    // With a terminal SNR of zero the last alpha is exactly 0 (diffusers gives only the schedulers on sigmas
    // a last one above it). Fails with kUnsupported for epsilon prediction then: noise says nothing about a
    // sample that is all noise.
    explicit TrainedTimestepScheduler(const SchedulerConfig& config);

    // One call per step. A ramp's timesteps are rounded; a list of sigmas is refused.
    void lay_out(const StepPlan& plan) override;
    void visit(const std::vector<int>& timesteps);

    int timestep(int call) const { return static_cast<int>(timesteps_[static_cast<std::size_t>(call)]); }
    // Where the step from this timestep leads; below 0 for clean samples. Evenly spaced timesteps go a fixed
    // distance, as diffusers has it, else to the next of the list.
    int previous(int call) const;
    // How far two evenly spaced timesteps are apart; 0 for lists and ramps.
    int stride() const { return stride_; }

    // alpha^2 at a timestep; below 0 that of the end, which is 1 with `set_alpha_to_one`.
    float alpha_squared(int timestep) const;
    MixLevel level(int timestep) const;
    // The clean sample, clipped if the configuration says so.
    std::vector<float> denoised(std::span<const float> model_output, int timestep,
                                std::span<const float> sample) const;

    const SchedulerConfig& config() const { return config_; }

  private:
    SchedulerConfig config_;
    NoiseSchedule schedule_;
    int stride_ = 0;
};

}  // namespace sdxl
