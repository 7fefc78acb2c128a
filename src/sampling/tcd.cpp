#include "sampling/tcd.h"

#include <algorithm>
#include <cmath>

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> TcdScheduler::clone() const {
    return std::make_unique<TcdScheduler>(*this);
}

void TcdScheduler::lay_out(const StepPlan& plan) {
    DistilledScheduler::lay_out(plan);
    // The last step ends at timestep 0, not at a clean sample.
    sigmas_.back() = level(0).s / level(0).alpha;
}

std::vector<float> TcdScheduler::step(std::span<const float> model_output, int call,
                                      std::span<const float> sample, NoiseSource& noise) {
    constexpr double kGamma = 0.3;
    const int t = timestep(call);
    const int end = std::max(previous(call), 0);
    // Along the trajectory to below the step's end, then back up to it with fresh noise.
    const int below = static_cast<int>((1 - kGamma) * end);
    const MixLevel at = level(below);
    auto next = mix(at.alpha, denoised(model_output, t, sample), at.s,
                    predict_noise(config().prediction_type, level(t), model_output, sample));
    if (is_last(call)) return next;
    const float kept = alpha_squared(end) / alpha_squared(below);
    for (float& value : next) value *= std::sqrt(kept);
    add_fresh_noise(next, std::sqrt(1.0f - kept), noise);
    return next;
}

}  // namespace sdxl
