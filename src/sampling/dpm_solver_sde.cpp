#include "sampling/dpm_solver_sde.h"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> DpmSolverSdeScheduler::clone() const {
    return std::make_unique<DpmSolverSdeScheduler>(*this);
}

void DpmSolverSdeScheduler::lay_out(const StepPlan& plan) {
    TwoCallScheduler::lay_out(plan);
    first_noise_.clear();
}

float DpmSolverSdeScheduler::middle_of(float from, float to) const {
    return std::sqrt(from * to);
}

std::vector<float> DpmSolverSdeScheduler::first_part(const Step& step, std::span<const float> denoised,
                                                     std::span<const float> start, NoiseSource& noise) {
    if (step.to == 0) return TwoCallScheduler::first_part(step, denoised, start, noise);
    const auto [down, up] = ancestral_step(step.from, step.middle);
    auto middle = euler_step(denoised, step.from, down, start);
    first_noise_ = noise.normal(static_cast<std::int64_t>(middle.size()));
    add_scaled(middle, up, first_noise_);
    return middle;
}

std::vector<float> DpmSolverSdeScheduler::whole_step(const Step& step, std::span<const float> denoised,
                                                     std::span<const float>, std::span<const float> start,
                                                     NoiseSource& noise) {
    const auto [down, up] = ancestral_step(step.from, step.to);
    auto next = euler_step(denoised, step.from, down, start);
    const float length = step.from - step.to;
    add_scaled(next, up * std::sqrt((step.from - step.middle) / length), first_noise_);
    add_fresh_noise(next, up * std::sqrt((step.middle - step.to) / length), noise);
    return next;
}

}  // namespace sdxl
