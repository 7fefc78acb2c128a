#include "sampling/variance_exploding.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "sampling/prediction.h"
#include "sampling/step_layout.h"
#include "sampling/vector_math.h"

namespace sdxl {

VarianceExplodingScheduler::VarianceExplodingScheduler(const SchedulerConfig& config)
    : config_(config), schedule_(make_noise_schedule(config)) {}

void VarianceExplodingScheduler::lay_out(const StepPlan& plan) {
    const auto layout =
        lay_out_steps(config_, schedule_.sigmas, {.last_timestep = config_.num_train_timesteps}, plan);
    timesteps_ = to_float(layout.timesteps);
    sigmas_ = to_float(layout.sigmas);
    sigmas_.push_back(0);
}

float VarianceExplodingScheduler::init_noise_sigma() const {
    const float highest = sigmas_.front();
    const bool leading = config_.timestep_spacing == TimestepSpacing::kLeading;
    return leading ? std::sqrt(highest * highest + 1.0f) : highest;
}

std::vector<float> VarianceExplodingScheduler::scale_model_input(std::span<const float> sample,
                                                                 int call) const {
    const float divisor = std::sqrt(model_sigma(call) * model_sigma(call) + 1.0f);
    std::vector<float> scaled(sample.begin(), sample.end());
    for (float& value : scaled) value /= divisor;
    return scaled;
}

std::vector<float> VarianceExplodingScheduler::add_noise(std::span<const float> original,
                                                         std::span<const float> noise, int call) const {
    return mix(1, original, sigma(call), noise);
}

std::vector<float> VarianceExplodingScheduler::denoised(std::span<const float> model_output, int call,
                                                        std::span<const float> sample) const {
    return predict_original_sample(config_.prediction_type, model_sigma(call), model_output, sample);
}

std::vector<float> euler_step(std::span<const float> denoised, float from, float to,
                              std::span<const float> sample) {
    return slope_step(denoised, from, sample, from, to, sample);
}

std::vector<float> slope_step(std::span<const float> denoised, float seen_at, std::span<const float> sample,
                              float from, float to, std::span<const float> start) {
    std::vector<float> next(start.begin(), start.end());
    const float dt = to - from;
    for (std::size_t i = 0; i < next.size(); ++i) next[i] += (sample[i] - denoised[i]) / seen_at * dt;
    return next;
}

AncestralStep ancestral_step(float from, float to) {
    const float up = std::sqrt(to * to * (from * from - to * to) / (from * from));
    return {std::sqrt(std::max(to * to - up * up, 0.0f)), up};
}

}  // namespace sdxl
