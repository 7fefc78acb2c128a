#include "sampling/trained_timesteps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/error.h"
#include "sampling/step_layout.h"
#include "sampling/vector_math.h"

namespace sdxl {

TrainedTimestepScheduler::TrainedTimestepScheduler(const SchedulerConfig& config)
    : config_(config), schedule_(make_noise_schedule(config)) {
    if (!config.rescale_betas_zero_snr) return;
    if (config.prediction_type == PredictionType::kEpsilon)
        fail(ErrorCode::kUnsupported,
             "a terminal SNR of zero needs v-prediction or sample prediction with this scheduler; set "
             "rescale_betas_zero_snr to false or choose Euler");
    schedule_.alphas_cumprod.back() = 0;
}

void TrainedTimestepScheduler::lay_out(const StepPlan& plan) {
    if (!plan.sigmas.empty())
        fail(ErrorCode::kInvalidRequest,
             "sigmas cannot be given to a scheduler that visits whole training timesteps; give timesteps, or "
             "choose Euler or DPM++ 2M");
    for (std::size_t i = 0; i < plan.timesteps.size(); ++i)
        if (plan.timesteps[i] != std::floor(plan.timesteps[i]))
            fail(ErrorCode::kInvalidRequest,
                 "timesteps[" + std::to_string(i) + "] is not a whole number, which this scheduler needs");
    const LayoutRules rules{
        .last_timestep = config_.num_train_timesteps, .round_linspace = true, .ramp_over_train = true};
    visit(whole_timesteps(lay_out_steps(config_, schedule_.sigmas, rules, plan).timesteps));
    const bool even = plan.timesteps.empty() && sigma_schedule_of(config_) == SigmaSchedule::kPlain;
    stride_ = even ? config_.num_train_timesteps / plan.steps : 0;
}

void TrainedTimestepScheduler::visit(const std::vector<int>& timesteps) {
    timesteps_.assign(timesteps.begin(), timesteps.end());
    sigmas_.clear();
    for (const int t : timesteps) sigmas_.push_back(schedule_.sigmas.at(static_cast<std::size_t>(t)));
    sigmas_.push_back(config_.set_alpha_to_one ? 0 : schedule_.sigmas.front());
    stride_ = 0;
}

int TrainedTimestepScheduler::previous(int call) const {
    if (stride_ > 0) return timestep(call) - stride_;
    return call + 1 < calls() ? timestep(call + 1) : -1;
}

std::vector<float> TrainedTimestepScheduler::scale_model_input(std::span<const float> sample, int) const {
    return {sample.begin(), sample.end()};
}

std::vector<float> TrainedTimestepScheduler::add_noise(std::span<const float> original,
                                                       std::span<const float> noise, int call) const {
    const MixLevel at = level(timestep(call));
    return mix(at.alpha, original, at.s, noise);
}

float TrainedTimestepScheduler::alpha_squared(int timestep) const {
    const auto& alphas = schedule_.alphas_cumprod;
    if (timestep >= 0) return alphas[static_cast<std::size_t>(timestep)];
    return config_.set_alpha_to_one ? 1 : alphas.front();
}

MixLevel TrainedTimestepScheduler::level(int timestep) const {
    const float square = alpha_squared(timestep);
    return {std::sqrt(square), std::sqrt(1.0f - square)};
}

std::vector<float> TrainedTimestepScheduler::denoised(std::span<const float> model_output, int timestep,
                                                      std::span<const float> sample) const {
    auto clean = predict_original_sample(config_.prediction_type, level(timestep), model_output, sample);
    const auto range = static_cast<float>(config_.clip_sample_range);
    if (config_.clip_sample)
        for (float& value : clean) value = std::clamp(value, -range, range);
    return clean;
}

}  // namespace sdxl
