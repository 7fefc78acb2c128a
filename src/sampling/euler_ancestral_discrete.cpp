#include "sampling/euler_ancestral_discrete.h"

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> EulerAncestralDiscreteScheduler::clone() const {
    return std::make_unique<EulerAncestralDiscreteScheduler>(*this);
}

std::vector<float> EulerAncestralDiscreteScheduler::step(std::span<const float> model_output, int call,
                                                         std::span<const float> sample, NoiseSource& noise) {
    const auto [down, up] = ancestral_step(sigma(call), sigma(call + 1));
    auto next = euler_step(denoised(model_output, call, sample), sigma(call), down, sample);
    add_fresh_noise(next, up, noise);
    return next;
}

}  // namespace sdxl
