#include "sampling/kdpm2_ancestral_discrete.h"

#include <cmath>

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> Kdpm2AncestralDiscreteScheduler::clone() const {
    return std::make_unique<Kdpm2AncestralDiscreteScheduler>(*this);
}

float Kdpm2AncestralDiscreteScheduler::middle_of(float from, float to) const {
    // The geometric mean by float32 logarithms: the rounding is diffusers'.
    const float start = std::log(from);
    const float end = std::log(ancestral_step(from, to).down);
    return std::exp(end - (end - start) * 0.5f);
}

std::vector<float> Kdpm2AncestralDiscreteScheduler::first_part(const Step& step,
                                                               std::span<const float> denoised,
                                                               std::span<const float> start,
                                                               NoiseSource& noise) {
    auto middle = TwoCallScheduler::first_part(step, denoised, start, noise);
    add_fresh_noise(middle, 0, noise);
    return middle;
}

std::vector<float> Kdpm2AncestralDiscreteScheduler::whole_step(const Step& step,
                                                               std::span<const float> denoised,
                                                               std::span<const float> middle,
                                                               std::span<const float> start,
                                                               NoiseSource& noise) {
    const auto [down, up] = ancestral_step(step.from, step.to);
    auto next = slope_step(denoised, step.middle, middle, step.from, down, start);
    add_fresh_noise(next, up, noise);
    return next;
}

}  // namespace sdxl
