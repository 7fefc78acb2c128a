#include "sampling/euler_discrete.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "sampling/prediction.h"
#include "sampling/timestep_grid.h"

namespace sdxl {

EulerDiscreteScheduler::EulerDiscreteScheduler(const SchedulerConfig& config)
    : config_(config), schedule_(make_noise_schedule(config)) {}

std::unique_ptr<Scheduler> EulerDiscreteScheduler::clone() const {
    return std::make_unique<EulerDiscreteScheduler>(*this);
}

TimestepSpacing EulerDiscreteScheduler::spacing() const {
    return config_.timestep_spacing.value_or(TimestepSpacing::kLinspace);
}

void EulerDiscreteScheduler::set_timesteps(int steps) {
    const auto& train = schedule_.sigmas;
    auto grid = timestep_grid({.spacing = spacing(),
                               .train_timesteps = config_.num_train_timesteps,
                               .last_timestep = config_.num_train_timesteps,
                               .steps_offset = config_.steps_offset},
                              steps);
    std::vector<double> sigmas;
    if (config_.interpolation_type == InterpolationType::kLogLinear) {
        sigmas = even_ramp(std::log(train.back()), std::log(train.front()), steps + 1);
        for (double& value : sigmas) value = std::exp(value);
        sigmas.pop_back();
    } else {
        // Timesteps are float32 before they are looked up.
        for (const double t : grid) sigmas.push_back(interpolate(train, static_cast<float>(t)));
    }
    if (config_.use_karras_sigmas) {
        sigmas = karras_sigmas(config_.sigma_min.value_or(sigmas.back()),
                               config_.sigma_max.value_or(sigmas.front()), steps);
        const auto logs = log_of(train);
        std::transform(sigmas.begin(), sigmas.end(), grid.begin(),
                       [&logs](double value) { return sigma_to_timestep(value, logs); });
    }
    timesteps_.assign(grid.size(), 0);
    std::transform(grid.begin(), grid.end(), timesteps_.begin(),
                   [](double t) { return static_cast<float>(t); });
    sigmas_.assign(sigmas.size() + 1, 0);
    std::transform(sigmas.begin(), sigmas.end(), sigmas_.begin(),
                   [](double value) { return static_cast<float>(value); });
}

float EulerDiscreteScheduler::init_noise_sigma() const {
    const float highest = *std::max_element(sigmas_.begin(), sigmas_.end());
    return spacing() == TimestepSpacing::kLeading ? std::sqrt(highest * highest + 1.0f) : highest;
}

std::vector<float> EulerDiscreteScheduler::scale_model_input(std::span<const float> sample,
                                                             int step_index) const {
    const float divisor = std::sqrt(sigma(step_index) * sigma(step_index) + 1.0f);
    std::vector<float> scaled(sample.begin(), sample.end());
    for (float& value : scaled) value /= divisor;
    return scaled;
}

std::vector<float> EulerDiscreteScheduler::add_noise(std::span<const float> original,
                                                     std::span<const float> noise, int step_index) const {
    std::vector<float> noisy(original.begin(), original.end());
    for (std::size_t i = 0; i < noisy.size(); ++i) noisy[i] += noise[i] * sigma(step_index);
    return noisy;
}

std::vector<float> EulerDiscreteScheduler::euler_step(std::span<const float> model_output, float from,
                                                      float to, std::span<const float> sample) const {
    auto next = predict_original_sample(config_.prediction_type, from, model_output, sample);
    const float dt = to - from;
    for (std::size_t i = 0; i < next.size(); ++i) {
        const float derivative = (sample[i] - next[i]) / from;
        next[i] = sample[i] + derivative * dt;
    }
    return next;
}

std::vector<float> EulerDiscreteScheduler::step(std::span<const float> model_output, int step_index,
                                                std::span<const float> sample, NoiseSource&) {
    return euler_step(model_output, sigma(step_index), sigma(step_index + 1), sample);
}

}  // namespace sdxl
