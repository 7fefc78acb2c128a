#include "sampling/dpm_solver_singlestep.h"

#include <algorithm>
#include <cstddef>

#include "core/error.h"
#include "sampling/vector_math.h"

namespace sdxl {
namespace {

// 1 2 3 1 2 3 ...; where few steps are to end with low orders, the last block is taken apart.
std::vector<int> block_orders(int most, int steps, bool lower_at_end) {
    std::vector<int> orders(static_cast<std::size_t>(steps));
    for (int i = 0; i < steps; ++i) orders[static_cast<std::size_t>(i)] = i % most + 1;
    if (lower_at_end && most == 3 && steps % 3 == 0) orders.back() = 1;
    return orders;
}

}  // namespace

DpmSolverSinglestepScheduler::DpmSolverSinglestepScheduler(const SchedulerConfig& config)
    : VariancePreservingScheduler(config, config.final_sigmas_type) {
    if (is_sde(config.algorithm_type))
        fail(ErrorCode::kUnsupported,
             "the singlestep DPM-Solver has no SDE variant; choose DPM++ SDE, or DPM++ 2M SDE");
    if (!predicts_data(config.algorithm_type) && config.final_sigmas_type == FinalSigmasType::kZero)
        fail(ErrorCode::kUnsupported,
             "DPM-Solver without ++ cannot end at sigma zero; set final_sigmas_type to sigma_min");
}

std::unique_ptr<Scheduler> DpmSolverSinglestepScheduler::clone() const {
    return std::make_unique<DpmSolverSinglestepScheduler>(*this);
}

void DpmSolverSinglestepScheduler::lay_out(const StepPlan& plan) {
    VariancePreservingScheduler::lay_out(plan);
    orders_ = block_orders(config().solver_order, calls(), config().lower_order_final);
    if (config().final_sigmas_type == FinalSigmasType::kZero) orders_.back() = 1;
    block_start_.clear();
    block_call_ = 0;
}

std::vector<float> DpmSolverSinglestepScheduler::step(std::span<const float> model_output, int call,
                                                      std::span<const float> sample, NoiseSource&) {
    const auto target = predicts_data(config().algorithm_type) ? Target::kData : Target::kNoise;
    remember(convert(target, model_output, call, sample));
    if (orders_.at(static_cast<std::size_t>(call)) == 1 || block_start_.empty()) {
        block_start_.assign(sample.begin(), sample.end());
        block_call_ = call;
    }
    const int order = call - block_call_ + 1;
    const float start = lambda(block_call_);
    const float h = lambda(call + 1) - start;
    const auto c = dpm_coefficients(config().algorithm_type, config().solver_type, order, level(block_call_),
                                    level(call + 1), h);
    const auto& m0 = remembered(static_cast<std::size_t>(order - 1));
    auto next = mix(c.sample, block_start_, c.d0, m0);
    const float r0 = (lambda(call) - start) / h;
    if (order == 2) {
        add_scaled(next, c.d1 / r0, mix(1, remembered(0), -1, m0));
    } else if (order == 3) {
        const float r1 = (lambda(call - 1) - start) / h;
        for (std::size_t i = 0; i < next.size(); ++i) {
            const float near = (1.0f / r1) * (remembered(1)[i] - m0[i]);
            const float far = (1.0f / r0) * (remembered(0)[i] - m0[i]);
            if (config().solver_type == DpmSolverType::kHeun)
                next[i] +=
                    c.d1 * ((r0 * near - r1 * far) / (r0 - r1)) + c.d2 * (2.0f * (far - near) / (r0 - r1));
            else
                next[i] += c.d1 * far;
        }
    }
    return next;
}

}  // namespace sdxl
