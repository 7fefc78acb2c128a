#include "sampling/variance_preserving.h"

#include <algorithm>
#include <cmath>

#include "sampling/step_layout.h"
#include "sampling/vector_math.h"

namespace sdxl {

VariancePreservingScheduler::VariancePreservingScheduler(const SchedulerConfig& config, FinalSigmasType end)
    : config_(config), schedule_(make_noise_schedule(config)), end_(end) {}

// Training timesteps whose lambda is not below lambda_min_clipped.
int VariancePreservingScheduler::last_timestep() const {
    const auto clipped = std::count_if(schedule_.sigmas.begin(), schedule_.sigmas.end(), [this](float value) {
        return -std::log(static_cast<double>(value)) < config_.lambda_min_clipped;
    });
    return config_.num_train_timesteps - static_cast<int>(clipped);
}

void VariancePreservingScheduler::lay_out(const StepPlan& plan) {
    SchedulerConfig config = config_;
    const auto schedule = sigma_schedule_of(config_);
    // Lu et al.'s even steps in lambda are the exponential sigmas.
    const bool lu = schedule == SigmaSchedule::kPlain && config_.use_lu_lambdas;
    if (lu) config.sigma_schedule = SigmaSchedule::kExponential;
    const LayoutRules rules{.last_timestep = last_timestep(),
                            .drop_last = true,
                            .round_linspace = true,
                            .ramp_over_train = true,
                            .round_ramp = lu || schedule == SigmaSchedule::kKarras};
    const auto layout = lay_out_steps(config, schedule_.sigmas, rules, plan);
    timesteps_ = to_float(layout.timesteps);
    sigmas_ = to_float(layout.sigmas);
    sigmas_.push_back(end_ == FinalSigmasType::kSigmaMin ? schedule_.sigmas.front() : 0.0f);
    history_.clear();
}

std::vector<float> VariancePreservingScheduler::scale_model_input(std::span<const float> sample, int) const {
    return {sample.begin(), sample.end()};
}

std::vector<float> VariancePreservingScheduler::add_noise(std::span<const float> original,
                                                          std::span<const float> noise, int call) const {
    const MixLevel at = level(call);
    return mix(at.alpha, original, at.s, noise);
}

MixLevel VariancePreservingScheduler::level(int call) const {
    const float value = sigma(call);
    const float alpha = 1.0f / std::sqrt(value * value + 1.0f);
    return {alpha, value * alpha};
}

float VariancePreservingScheduler::lambda(int call) const {
    const MixLevel at = level(call);
    return std::log(at.alpha) - std::log(at.s);
}

std::vector<float> VariancePreservingScheduler::convert(Target target, std::span<const float> model_output,
                                                        int call, std::span<const float> sample) const {
    const auto type = config_.prediction_type;
    return target == Target::kData ? predict_original_sample(type, level(call), model_output, sample)
                                   : predict_noise(type, level(call), model_output, sample);
}

void VariancePreservingScheduler::remember(std::vector<float> converted) {
    history_.insert(history_.begin(), std::move(converted));
    if (static_cast<int>(history_.size()) > config_.solver_order) history_.pop_back();
}

bool VariancePreservingScheduler::has_few_steps() const {
    constexpr int kFew = 15;
    return config_.lower_order_final && calls() < kFew;
}

int VariancePreservingScheduler::multistep_order(int call) const {
    // A step that stays in place: the differences would divide by 0.
    if (sigma(call + 1) == sigma(call)) return 1;
    const int order = static_cast<int>(history_.size());
    return has_few_steps() ? std::min(order, calls() - call) : order;
}

}  // namespace sdxl
