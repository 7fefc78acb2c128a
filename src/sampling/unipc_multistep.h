// UniPC: a multistep predictor, and a corrector of the same order that uses the next output before anything
// else does, so that it costs no call. Zhao et al. 2023 (https://arxiv.org/abs/2302.04867), orders 1 to 3,
// B(h) of kind 1 or 2; as diffusers 0.27 `UniPCMultistepScheduler`, which ends at the lowest training sigma.
// Draws no noise.
#pragma once

#include "sampling/variance_preserving.h"

namespace sdxl {

class UniPcMultistepScheduler final : public VariancePreservingScheduler {
  public:
    explicit UniPcMultistepScheduler(const SchedulerConfig& config)
        : VariancePreservingScheduler(config, FinalSigmasType::kSigmaMin) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  protected:
    void lay_out(const StepPlan& plan) override;

  private:
    // What predictor and corrector share: the step from `call` to the next, of an order, as
    // base - scale * sum(weights * differences).
    struct Equations;
    Equations equations(int call, int order) const;
    std::vector<float> first_order_step(int call, std::span<const float> sample) const;
    std::vector<float> difference(int call, int age) const;
    std::vector<float> predict(int call, int order, std::span<const float> sample) const;
    std::vector<float> correct(int call, int order, std::span<const float> start,
                               std::span<const float> newest) const;
    int order_at(int call) const;

    int last_order_ = 0;              // of the step before; 0 at the start
    std::vector<float> last_sample_;  // where it started
};

}  // namespace sdxl
