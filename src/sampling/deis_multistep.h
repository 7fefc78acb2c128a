// DEIS: exponential integrator in rho = s / alpha with the noise extrapolated by polynomials in log rho,
// orders 1 to 3. Zhang and Chen 2022 (https://arxiv.org/abs/2204.13902), the "log rho" form; as diffusers
// `DEISMultistepScheduler`, which ends at the lowest training sigma. Draws no noise.
#pragma once

#include "sampling/variance_preserving.h"

namespace sdxl {

class DeisMultistepScheduler final : public VariancePreservingScheduler {
  public:
    explicit DeisMultistepScheduler(const SchedulerConfig& config)
        : VariancePreservingScheduler(config, FinalSigmasType::kSigmaMin) {}

    std::unique_ptr<Scheduler> clone() const override;
    std::vector<float> step(std::span<const float> model_output, int call, std::span<const float> sample,
                            NoiseSource& noise) override;

  private:
    double weight(int call, int which, int order) const;
};

}  // namespace sdxl
