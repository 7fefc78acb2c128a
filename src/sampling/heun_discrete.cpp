#include "sampling/heun_discrete.h"

#include "sampling/vector_math.h"

namespace sdxl {
namespace {

std::vector<float> slope(std::span<const float> sample, std::span<const float> denoised, float sigma) {
    return mix(1 / sigma, sample, -1 / sigma, denoised);
}

}  // namespace

std::unique_ptr<Scheduler> HeunDiscreteScheduler::clone() const {
    return std::make_unique<HeunDiscreteScheduler>(*this);
}

void HeunDiscreteScheduler::lay_out(const StepPlan& plan) {
    TwoCallScheduler::lay_out(plan);
    first_slope_.clear();
}

std::vector<float> HeunDiscreteScheduler::first_part(const Step& step, std::span<const float> denoised,
                                                     std::span<const float> start, NoiseSource& noise) {
    first_slope_ = slope(start, denoised, step.from);
    return TwoCallScheduler::first_part(step, denoised, start, noise);
}

std::vector<float> HeunDiscreteScheduler::whole_step(const Step& step, std::span<const float> denoised,
                                                     std::span<const float> middle,
                                                     std::span<const float> start, NoiseSource&) {
    const auto mean = mix(0.5f, first_slope_, 0.5f, slope(middle, denoised, step.middle));
    return mix(1, start, step.to - step.from, mean);
}

}  // namespace sdxl
