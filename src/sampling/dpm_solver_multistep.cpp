#include "sampling/dpm_solver_multistep.h"

#include <cstddef>

#include "core/error.h"
#include "sampling/vector_math.h"

namespace sdxl {

DpmSolverMultistepScheduler::DpmSolverMultistepScheduler(const SchedulerConfig& config)
    : VariancePreservingScheduler(config, config.final_sigmas_type) {
    if (!predicts_data(config.algorithm_type) && config.final_sigmas_type == FinalSigmasType::kZero)
        fail(ErrorCode::kUnsupported,
             "DPM-Solver without ++ cannot end at sigma zero; set final_sigmas_type to sigma_min");
    if (config.algorithm_type == DpmAlgorithm::kSdeDpmSolver && config.solver_order == 3)
        fail(ErrorCode::kUnsupported,
             "sde-dpmsolver has solver_order 1 and 2, found 3; choose sde-dpmsolver++ for order 3");
}

std::unique_ptr<Scheduler> DpmSolverMultistepScheduler::clone() const {
    return std::make_unique<DpmSolverMultistepScheduler>(*this);
}

int DpmSolverMultistepScheduler::order_at(int call) const {
    const bool last_is_first_order =
        config().euler_at_final || has_few_steps() || config().final_sigmas_type == FinalSigmasType::kZero;
    return call == calls() - 1 && last_is_first_order ? 1 : multistep_order(call);
}

std::vector<float> DpmSolverMultistepScheduler::step(std::span<const float> model_output, int call,
                                                     std::span<const float> sample, NoiseSource& noise) {
    const auto target = predicts_data(config().algorithm_type) ? Target::kData : Target::kNoise;
    remember(convert(target, model_output, call, sample));
    const int order = order_at(call);
    const float h = lambda(call + 1) - lambda(call);
    const auto c = dpm_coefficients(config().algorithm_type, config().solver_type, order, level(call),
                                    level(call + 1), h);
    const float r0 = order > 1 ? (lambda(call) - lambda(call - 1)) / h : 1;
    const float r1 = order > 2 ? (lambda(call - 1) - lambda(call - 2)) / h : 1;
    auto next = mix(c.sample, sample, c.d0, remembered(0));
    for (std::size_t i = 0; order > 1 && i < next.size(); ++i) {
        const float slope = (1.0f / r0) * (remembered(0)[i] - remembered(1)[i]);
        const float change = order > 2 ? slope - (1.0f / r1) * (remembered(1)[i] - remembered(2)[i]) : 0.0f;
        next[i] += c.d1 * (slope + r0 / (r0 + r1) * change) + c.d2 * (1.0f / (r0 + r1) * change);
    }
    if (is_sde(config().algorithm_type)) add_fresh_noise(next, c.noise, noise);
    return next;
}

}  // namespace sdxl
