#include "sampling/kdpm2_discrete.h"

#include <cmath>

namespace sdxl {

std::unique_ptr<Scheduler> Kdpm2DiscreteScheduler::clone() const {
    return std::make_unique<Kdpm2DiscreteScheduler>(*this);
}

float Kdpm2DiscreteScheduler::middle_of(float from, float to) const {
    return std::sqrt(from * to);
}

std::vector<float> Kdpm2DiscreteScheduler::whole_step(const Step& step, std::span<const float> denoised,
                                                      std::span<const float> middle,
                                                      std::span<const float> start, NoiseSource&) {
    return slope_step(denoised, step.middle, middle, step.from, step.to, start);
}

}  // namespace sdxl
