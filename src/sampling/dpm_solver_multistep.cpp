#include "sampling/dpm_solver_multistep.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/error.h"
#include "sampling/timestep_grid.h"

namespace sdxl {

DpmSolverMultistepScheduler::DpmSolverMultistepScheduler(const SchedulerConfig& config)
    : config_(config), schedule_(make_noise_schedule(config)) {
    if (!predicts_data() && config_.final_sigmas_type == FinalSigmasType::kZero)
        fail(ErrorCode::kUnsupported,
             "DPM-Solver without ++ cannot end at sigma zero; set final_sigmas_type to sigma_min");
    if (is_sde() && config_.solver_order == 3)
        fail(ErrorCode::kUnsupported, "the SDE variants of DPM-Solver have solver_order 1 and 2, found 3");
}

std::unique_ptr<Scheduler> DpmSolverMultistepScheduler::clone() const {
    return std::make_unique<DpmSolverMultistepScheduler>(*this);
}

bool DpmSolverMultistepScheduler::is_sde() const {
    return config_.algorithm_type == DpmAlgorithm::kSdeDpmSolver ||
           config_.algorithm_type == DpmAlgorithm::kSdeDpmSolverPlusPlus;
}

bool DpmSolverMultistepScheduler::predicts_data() const {
    return config_.algorithm_type == DpmAlgorithm::kDpmSolverPlusPlus ||
           config_.algorithm_type == DpmAlgorithm::kSdeDpmSolverPlusPlus;
}

// Training timesteps whose lambda is not below lambda_min_clipped.
int DpmSolverMultistepScheduler::last_timestep() const {
    const auto clipped = std::count_if(schedule_.sigmas.begin(), schedule_.sigmas.end(), [this](float value) {
        return -std::log(static_cast<double>(value)) < config_.lambda_min_clipped;
    });
    return config_.num_train_timesteps - static_cast<int>(clipped);
}

// Sigmas that do not follow from timesteps; empty where they do.
std::vector<double> DpmSolverMultistepScheduler::ramp_sigmas(int steps) const {
    const auto& train = schedule_.sigmas;
    if (config_.use_karras_sigmas)
        return karras_sigmas(config_.sigma_min.value_or(train.front()),
                             config_.sigma_max.value_or(train.back()), steps);
    if (!config_.use_lu_lambdas) return {};
    auto sigmas = even_ramp(std::log(train.back()), std::log(train.front()), steps);
    for (double& value : sigmas) value = std::exp(value);
    return sigmas;
}

void DpmSolverMultistepScheduler::set_timesteps(int steps) {
    const auto& train = schedule_.sigmas;
    auto grid = timestep_grid({.spacing = config_.timestep_spacing.value_or(TimestepSpacing::kLinspace),
                               .train_timesteps = config_.num_train_timesteps,
                               .last_timestep = last_timestep(),
                               .steps_offset = config_.steps_offset,
                               .drop_last = true,
                               .round_linspace = true},
                              steps);
    auto sigmas = ramp_sigmas(steps);
    if (sigmas.empty()) {
        for (const double t : grid) sigmas.push_back(interpolate(train, t));
    } else {
        const auto logs = log_of(train);
        std::transform(sigmas.begin(), sigmas.end(), grid.begin(),
                       [&logs](double value) { return std::nearbyint(sigma_to_timestep(value, logs)); });
    }
    sigmas.push_back(config_.final_sigmas_type == FinalSigmasType::kSigmaMin ? train.front() : 0.0);
    timesteps_.assign(grid.size(), 0);
    std::transform(grid.begin(), grid.end(), timesteps_.begin(),
                   [](double t) { return static_cast<float>(t); });
    sigmas_.assign(sigmas.size(), 0);
    std::transform(sigmas.begin(), sigmas.end(), sigmas_.begin(),
                   [](double value) { return static_cast<float>(value); });
    history_.clear();
}

std::vector<float> DpmSolverMultistepScheduler::scale_model_input(std::span<const float> sample, int) const {
    return {sample.begin(), sample.end()};
}

std::vector<float> DpmSolverMultistepScheduler::add_noise(std::span<const float> original,
                                                          std::span<const float> noise,
                                                          int step_index) const {
    const Level at = level(step_index);
    std::vector<float> noisy(original.begin(), original.end());
    for (std::size_t i = 0; i < noisy.size(); ++i) noisy[i] = at.alpha * noisy[i] + at.s * noise[i];
    return noisy;
}

DpmSolverMultistepScheduler::Level DpmSolverMultistepScheduler::level(int step_index) const {
    const float value = sigma(step_index);
    const float alpha = 1.0f / std::sqrt(value * value + 1.0f);
    const float s = value * alpha;
    return {alpha, s, std::log(alpha) - std::log(s)};
}

// The clean sample ("++") or the noise that the model's output implies.
std::vector<float> DpmSolverMultistepScheduler::convert(std::span<const float> model_output, int step_index,
                                                        std::span<const float> sample) const {
    const Level at = level(step_index);
    std::vector<float> converted(model_output.begin(), model_output.end());
    const auto each = [&](auto formula) {
        for (std::size_t i = 0; i < converted.size(); ++i) converted[i] = formula(sample[i], model_output[i]);
    };
    switch (config_.prediction_type) {
        case PredictionType::kEpsilon:
            if (predicts_data()) each([&](float x, float out) { return (x - at.s * out) / at.alpha; });
            break;
        case PredictionType::kSample:
            if (!predicts_data()) each([&](float x, float out) { return (x - at.alpha * out) / at.s; });
            break;
        case PredictionType::kVPrediction:
            if (predicts_data())
                each([&](float x, float out) { return at.alpha * x - at.s * out; });
            else
                each([&](float x, float out) { return at.alpha * out + at.s * x; });
            break;
    }
    return converted;
}

// Low orders at the start, where there is no history, and at the end, where high ones are unstable.
int DpmSolverMultistepScheduler::order_at(int step_index) const {
    const int steps = static_cast<int>(timesteps_.size());
    if (sigma(step_index + 1) == sigma(step_index))
        return 1;  // stays in place; the differences would divide by 0
    const bool few_steps = config_.lower_order_final && steps < 15;
    int order = std::min(config_.solver_order, static_cast<int>(history_.size()));
    const bool last_is_first_order =
        config_.euler_at_final || few_steps || config_.final_sigmas_type == FinalSigmasType::kZero;
    if (step_index == steps - 1 && last_is_first_order) order = 1;
    if (step_index == steps - 2 && few_steps) order = std::min(order, 2);
    return order;
}

// The first-order update (DDIM) and the noise of the SDE variants.
DpmSolverMultistepScheduler::Coefficients DpmSolverMultistepScheduler::base_coefficients(
    const Level& to, const Level& from) const {
    const float h = to.lambda - from.lambda;
    Coefficients c;
    switch (config_.algorithm_type) {
        case DpmAlgorithm::kDpmSolverPlusPlus:
            c.sample = to.s / from.s;
            c.d0 = -(to.alpha * (std::exp(-h) - 1.0f));
            break;
        case DpmAlgorithm::kDpmSolver:
            c.sample = to.alpha / from.alpha;
            c.d0 = -(to.s * (std::exp(h) - 1.0f));
            break;
        case DpmAlgorithm::kSdeDpmSolverPlusPlus:
            c.sample = to.s / from.s * std::exp(-h);
            c.d0 = to.alpha * (1.0f - std::exp(-2.0f * h));
            c.noise = to.s * std::sqrt(1.0f - std::exp(-2.0f * h));
            break;
        case DpmAlgorithm::kSdeDpmSolver:
            c.sample = to.alpha / from.alpha;
            c.d0 = -2.0f * (to.s * (std::exp(h) - 1.0f));
            c.noise = to.s * std::sqrt(std::exp(2.0f * h) - 1.0f);
            break;
    }
    return c;
}

void DpmSolverMultistepScheduler::add_second_order(Coefficients& c, const Level& to, float h) const {
    if (config_.solver_type == DpmSolverType::kMidpoint) {
        c.d1 = 0.5f * c.d0;
        return;
    }
    switch (config_.algorithm_type) {
        case DpmAlgorithm::kDpmSolverPlusPlus:
            c.d1 = to.alpha * ((std::exp(-h) - 1.0f) / h + 1.0f);
            break;
        case DpmAlgorithm::kDpmSolver:
            c.d1 = -(to.s * ((std::exp(h) - 1.0f) / h - 1.0f));
            break;
        case DpmAlgorithm::kSdeDpmSolverPlusPlus:
            c.d1 = to.alpha * ((1.0f - std::exp(-2.0f * h)) / (-2.0f * h) + 1.0f);
            break;
        case DpmAlgorithm::kSdeDpmSolver:
            c.d1 = -2.0f * (to.s * ((std::exp(h) - 1.0f) / h - 1.0f));
            break;
    }
}

void DpmSolverMultistepScheduler::add_third_order(Coefficients& c, const Level& to, float h) const {
    if (predicts_data()) {
        c.d1 = to.alpha * ((std::exp(-h) - 1.0f) / h + 1.0f);
        c.d2 = -(to.alpha * ((std::exp(-h) - 1.0f + h) / (h * h) - 0.5f));
    } else {
        c.d1 = -(to.s * ((std::exp(h) - 1.0f) / h - 1.0f));
        c.d2 = -(to.s * ((std::exp(h) - 1.0f - h) / (h * h) - 0.5f));
    }
}

std::vector<float> DpmSolverMultistepScheduler::combine(const Coefficients& c, int order, int step_index,
                                                        std::span<const float> sample,
                                                        NoiseSource& noise) const {
    const float lambda = level(step_index).lambda;
    const float h = level(step_index + 1).lambda - lambda;
    const float r0 = order > 1 ? (lambda - level(step_index - 1).lambda) / h : 1;
    const float r1 = order > 2 ? (level(step_index - 1).lambda - level(step_index - 2).lambda) / h : 1;
    std::vector<float> next(sample.size());
    for (std::size_t i = 0; i < next.size(); ++i) {
        const float m0 = history_[0][i];
        next[i] = c.sample * sample[i] + c.d0 * m0;
        if (order < 2) continue;
        const float slope = (1.0f / r0) * (m0 - history_[1][i]);
        if (order == 2) {
            next[i] += c.d1 * slope;
            continue;
        }
        const float change = slope - (1.0f / r1) * (history_[1][i] - history_[2][i]);
        next[i] += c.d1 * (slope + r0 / (r0 + r1) * change) + c.d2 * (1.0f / (r0 + r1) * change);
    }
    if (!is_sde()) return next;
    const auto fresh = noise.normal(static_cast<std::int64_t>(next.size()));
    for (std::size_t i = 0; i < next.size(); ++i) next[i] += c.noise * fresh[i];
    return next;
}

std::vector<float> DpmSolverMultistepScheduler::step(std::span<const float> model_output, int step_index,
                                                     std::span<const float> sample, NoiseSource& noise) {
    history_.insert(history_.begin(), convert(model_output, step_index, sample));
    if (static_cast<int>(history_.size()) > config_.solver_order) history_.pop_back();
    const int order = order_at(step_index);
    const Level to = level(step_index + 1);
    const Level from = level(step_index);
    Coefficients coefficients = base_coefficients(to, from);
    if (order == 2) add_second_order(coefficients, to, to.lambda - from.lambda);
    if (order == 3) add_third_order(coefficients, to, to.lambda - from.lambda);
    return combine(coefficients, order, step_index, sample, noise);
}

}  // namespace sdxl
