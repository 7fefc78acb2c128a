#include "sampling/two_call.h"

#include <cstddef>
#include <utility>

#include "core/error.h"
#include "sampling/timestep_grid.h"

namespace sdxl {

void TwoCallScheduler::lay_out(const StepPlan& plan) {
    VarianceExplodingScheduler::lay_out(plan);
    const auto step_timesteps = std::exchange(timesteps_, {});
    const auto levels = std::exchange(sigmas_, {});
    const auto logs = log_of(train_sigmas());
    for (std::size_t i = 0; i < step_timesteps.size(); ++i) {
        timesteps_.push_back(step_timesteps[i]);
        sigmas_.push_back(levels[i]);
        sigmas_.push_back(levels[i + 1]);
        if (levels[i + 1] == 0) break;
        const float middle = middle_of(levels[i], levels[i + 1]);
        timesteps_.push_back(middle == levels[i + 1] ? step_timesteps[i + 1]
                                                     : static_cast<float>(sigma_to_timestep(middle, logs)));
    }
    start_.clear();
}

TwoCallScheduler::Step TwoCallScheduler::step_at(int call) const {
    const int first = call - call % 2;
    const float from = sigma(first);
    const float to = sigma(first + 1);
    return {from, to == 0 ? 0 : middle_of(from, to), to};
}

float TwoCallScheduler::model_sigma(int call) const {
    return call % 2 == 0 ? sigma(call) : step_at(call).middle;
}

std::vector<float> TwoCallScheduler::first_part(const Step& step, std::span<const float> denoised,
                                                std::span<const float> start, NoiseSource&) {
    return euler_step(denoised, step.from, step.middle, start);
}

std::vector<float> TwoCallScheduler::step(std::span<const float> model_output, int call,
                                          std::span<const float> sample, NoiseSource& noise) {
    const Step at = step_at(call);
    const auto clean = denoised(model_output, call, sample);
    if (call % 2 == 0) {
        start_.assign(sample.begin(), sample.end());
        return first_part(at, clean, sample, noise);
    }
    if (start_.size() != sample.size())
        fail(ErrorCode::kInternal, "a step of a scheduler that looks twice was started in its middle");
    return whole_step(at, clean, sample, std::exchange(start_, {}), noise);
}

}  // namespace sdxl
