#include "sampling/euler_discrete.h"

namespace sdxl {

std::unique_ptr<Scheduler> EulerDiscreteScheduler::clone() const {
    return std::make_unique<EulerDiscreteScheduler>(*this);
}

std::vector<float> EulerDiscreteScheduler::step(std::span<const float> model_output, int call,
                                                std::span<const float> sample, NoiseSource&) {
    return euler_step(denoised(model_output, call, sample), sigma(call), sigma(call + 1), sample);
}

}  // namespace sdxl
