// DPM-Solver and DPM-Solver++ in their multistep forms, orders 1 to 3, and their SDE variants of orders 1
// and 2.
//
// Sources: Lu et al. 2022, DPM-Solver (https://arxiv.org/abs/2206.00927) and DPM-Solver++
// (https://arxiv.org/abs/2211.01095); step rules as diffusers `DPMSolverMultistepScheduler`. Samples are
// alpha * x0 + s * noise with alpha^2 + s^2 = 1. "DPM++ 2M Karras" is order 2 with Karras sigmas.
#pragma once

#include "sampling/noise_schedule.h"
#include "sampling/scheduler.h"

namespace sdxl {

class DpmSolverMultistepScheduler final : public Scheduler {
  public:
    // Fails with kUnsupported for combinations that the method does not have: a final sigma of zero without
    // "++", order 3 of an SDE variant.
    explicit DpmSolverMultistepScheduler(const SchedulerConfig& config);

    std::unique_ptr<Scheduler> clone() const override;
    void set_timesteps(int steps) override;
    float init_noise_sigma() const override { return 1; }
    std::vector<float> scale_model_input(std::span<const float> sample, int step_index) const override;
    std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                 int step_index) const override;
    std::vector<float> step(std::span<const float> model_output, int step_index,
                            std::span<const float> sample, NoiseSource& noise) override;

  private:
    // A noise level as the method sees it.
    struct Level {
        float alpha, s, lambda;  // lambda = log(alpha / s)
    };
    // next = sample * x + d0 * D0 + d1 * D1 + d2 * D2 + noise * z, D being the divided differences of the
    // history.
    struct Coefficients {
        float sample = 0, d0 = 0, d1 = 0, d2 = 0, noise = 0;
    };

    bool is_sde() const;
    bool predicts_data() const;  // the "++" variants; the others predict noise
    int last_timestep() const;
    std::vector<double> ramp_sigmas(int steps) const;
    Level level(int step_index) const;
    std::vector<float> convert(std::span<const float> model_output, int step_index,
                               std::span<const float> sample) const;
    int order_at(int step_index) const;
    Coefficients base_coefficients(const Level& to, const Level& from) const;
    void add_second_order(Coefficients& coefficients, const Level& to, float h) const;
    void add_third_order(Coefficients& coefficients, const Level& to, float h) const;
    std::vector<float> combine(const Coefficients& coefficients, int order, int step_index,
                               std::span<const float> sample, NoiseSource& noise) const;

    SchedulerConfig config_;
    NoiseSchedule schedule_;
    std::vector<std::vector<float>> history_;  // converted outputs of the last steps, the newest first
};

}  // namespace sdxl
