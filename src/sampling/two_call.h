// What the schedulers that call the model twice in a step have in common: Heun, DPM2, DPM2 ancestral and
// DPM++ SDE. The first call looks at the sample where the step starts, the second at a middle; from there the
// step is made again, from its start. The last step, which ends at 0, has no middle and makes one call, so
// that n steps make 2n - 1 calls.
#pragma once

#include "sampling/variance_exploding.h"

namespace sdxl {

class TwoCallScheduler : public VarianceExplodingScheduler {
  public:
    int first_call(int step) const override { return 2 * step; }
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;
    float model_sigma(int call) const override;

  protected:
    using VarianceExplodingScheduler::VarianceExplodingScheduler;

    struct Step {
        float from, middle, to;  // noise levels; middle is `to` where that is 0
    };

    void lay_out(const StepPlan& plan) override;

    // The noise level of the second call. REQUIRES: from > to > 0.
    virtual float middle_of(float from, float to) const = 0;
    // From the start of a step to its middle.
    virtual std::vector<float> first_part(const Step& step, std::span<const float> denoised,
                                          std::span<const float> start, NoiseSource& noise);
    // From the start of a step to its end, by what was seen at `middle`.
    virtual std::vector<float> whole_step(const Step& step, std::span<const float> denoised,
                                          std::span<const float> middle, std::span<const float> start,
                                          NoiseSource& noise) = 0;

  private:
    Step step_at(int call) const;

    std::vector<float> start_;  // the sample where the step began; empty between steps
};

}  // namespace sdxl
