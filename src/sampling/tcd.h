// TCD: trajectory consistency sampling with gamma (diffusers' eta) 0.3. Zheng et al. 2024
// (https://arxiv.org/abs/2402.19159), algorithm 4; as diffusers `TCDScheduler`. Draws noise at every step but
// the last.
#pragma once

#include "sampling/distilled.h"

namespace sdxl {

class TcdScheduler final : public DistilledScheduler {
  public:
    explicit TcdScheduler(const SchedulerConfig& config) : DistilledScheduler(config) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  protected:
    void lay_out(const StepPlan& plan) override;
};

}  // namespace sdxl
