// DPM-Solver and DPM-Solver++ in their singlestep forms ("DPM++ 2S"), orders 1 to 3: blocks of steps, the
// first of order 1, the next of order 2 from the block's start, and so on. One model call per step all the
// same. As diffusers `DPMSolverSinglestepScheduler`; the formulas and their sources stand in
// dpm_solver_formula.h. Draws no noise.
#pragma once

#include "sampling/dpm_solver_formula.h"
#include "sampling/variance_preserving.h"

namespace sdxl {

class DpmSolverSinglestepScheduler final : public VariancePreservingScheduler {
  public:
    // Fails with kUnsupported for what the method does not have: SDE variants, a final sigma of zero without
    // "++".
    explicit DpmSolverSinglestepScheduler(const SchedulerConfig& config);

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  protected:
    void lay_out(const StepPlan& plan) override;

  private:
    std::vector<int> orders_;         // of every step
    std::vector<float> block_start_;  // the sample where the block began
    int block_call_ = 0;              // and its call
};

}  // namespace sdxl
