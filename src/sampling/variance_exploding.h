// What the schedulers on samples x0 + sigma * noise have in common (Karras et al. 2022,
// https://arxiv.org/abs/2206.00364): Euler, LMS and those that look twice.
#pragma once

#include "sampling/noise_schedule.h"
#include "sampling/scheduler.h"

namespace sdxl {

class VarianceExplodingScheduler : public Scheduler {
  public:
    float init_noise_sigma() const override;
    std::vector<float> scale_model_input(std::span<const float> sample, int call) const override;
    std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                 int call) const override;

  protected:
    explicit VarianceExplodingScheduler(const SchedulerConfig& config);

    // One call per step, and 0 at the end.
    void lay_out(const StepPlan& plan) override;

    std::vector<float> denoised(std::span<const float> model_output, int call,
                                std::span<const float> sample) const;
    const std::vector<float>& train_sigmas() const { return schedule_.sigmas; }

  private:
    SchedulerConfig config_;
    NoiseSchedule schedule_;
};

// From noise level `from` to `to` along the line through the clean sample: Euler's method. REQUIRES: from >
// 0.
std::vector<float> euler_step(std::span<const float> denoised, float from, float to,
                              std::span<const float> sample);

// A step from `start` along the slope that was seen at another place: in `sample` at noise level `seen_at`.
std::vector<float> slope_step(std::span<const float> denoised, float seen_at, std::span<const float> sample,
                              float from, float to, std::span<const float> start);

// A step down to `to` that overshoots to `down` and adds noise of deviation `up`, so that the variance is
// right. k-diffusion `get_ancestral_step` with eta 1. REQUIRES: from >= to, from > 0.
struct AncestralStep {
    float down, up;
};
AncestralStep ancestral_step(float from, float to);

}  // namespace sdxl
