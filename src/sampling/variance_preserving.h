// What the schedulers on samples alpha * x0 + s * noise, alpha^2 + s^2 = 1, that are solved in
// lambda = log(alpha / s) have in common: DPM-Solver (both forms), UniPC and DEIS.
#pragma once

#include "sampling/noise_schedule.h"
#include "sampling/prediction.h"
#include "sampling/scheduler.h"

namespace sdxl {

class VariancePreservingScheduler : public Scheduler {
  public:
    float init_noise_sigma() const override { return 1; }
    std::vector<float> scale_model_input(std::span<const float> sample, int call) const override;
    std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                 int call) const override;

  protected:
    enum class Target { kData, kNoise };  // what the method extrapolates

    VariancePreservingScheduler(const SchedulerConfig& config, FinalSigmasType end);

    // One call per step, and the end that was asked for in the constructor.
    void lay_out(const StepPlan& plan) override;

    MixLevel level(int call) const;
    float lambda(int call) const;
    std::vector<float> convert(Target target, std::span<const float> model_output, int call,
                               std::span<const float> sample) const;

    // The converted outputs of the last calls, the newest first; at most `solver_order` of them.
    void remember(std::vector<float> converted);
    const std::vector<float>& remembered(std::size_t age) const { return history_[age]; }
    // The order that a multistep method can take: low at the start, where there is no history, and at the end
    // of few steps, where high ones are unstable.
    int multistep_order(int call) const;
    bool has_few_steps() const;

    const SchedulerConfig& config() const { return config_; }

  private:
    int last_timestep() const;

    SchedulerConfig config_;
    NoiseSchedule schedule_;
    FinalSigmasType end_;
    std::vector<std::vector<float>> history_;
};

}  // namespace sdxl
