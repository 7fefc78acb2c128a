// DPM-Solver and DPM-Solver++ in their multistep forms, orders 1 to 3, and their SDE variants.
//
// Step rules as diffusers `DPMSolverMultistepScheduler`; order 3 of the SDE variant, which diffusers 0.27
// does not have, as k-diffusion `sample_dpmpp_3m_sde`. "DPM++ 2M Karras" is order 2 with Karras sigmas. The
// formulas and their sources stand in dpm_solver_formula.h.
#pragma once

#include "sampling/dpm_solver_formula.h"
#include "sampling/variance_preserving.h"

namespace sdxl {

class DpmSolverMultistepScheduler final : public VariancePreservingScheduler {
  public:
    // Fails with kUnsupported for combinations that the method does not have: a final sigma of zero without
    // "++", order 3 of the SDE variant without "++".
    explicit DpmSolverMultistepScheduler(const SchedulerConfig& config);

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  private:
    int order_at(int call) const;
};

}  // namespace sdxl
