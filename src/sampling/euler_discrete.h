// Euler's method on the probability-flow ODE. Karras et al. 2022 (https://arxiv.org/abs/2206.00364),
// algorithm 2 without churn; as diffusers `EulerDiscreteScheduler`. Samples are x0 + sigma * noise. Draws no
// noise.
#pragma once

#include "sampling/noise_schedule.h"
#include "sampling/scheduler.h"

namespace sdxl {

class EulerDiscreteScheduler : public Scheduler {
  public:
    explicit EulerDiscreteScheduler(const SchedulerConfig& config);

    std::unique_ptr<Scheduler> clone() const override;
    void set_timesteps(int steps) override;
    float init_noise_sigma() const override;
    std::vector<float> scale_model_input(std::span<const float> sample, int step_index) const override;
    std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                 int step_index) const override;
    std::vector<float> step(std::span<const float> model_output, int step_index,
                            std::span<const float> sample, NoiseSource& noise) override;

  protected:
    // One Euler step along the line from the predicted clean sample to `sample`, down to noise level `to`.
    std::vector<float> euler_step(std::span<const float> model_output, float from, float to,
                                  std::span<const float> sample) const;

  private:
    TimestepSpacing spacing() const;

    SchedulerConfig config_;
    NoiseSchedule schedule_;
};

}  // namespace sdxl
