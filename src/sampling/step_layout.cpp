#include "sampling/step_layout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "core/error.h"
#include "sampling/sigma_schedule.h"
#include "sampling/timestep_grid.h"

namespace sdxl {
namespace {

std::string number(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

void check_list(const char* name, std::span<const double> values, double low, double high) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string found = std::string(name) + "[" + std::to_string(i) + "] is " + number(values[i]);
        if (!(values[i] >= low && values[i] <= high))
            fail(ErrorCode::kInvalidRequest,
                 found + ", expected a number from " + number(low) + " to " + number(high));
        if (i > 0 && values[i] >= values[i - 1])
            fail(ErrorCode::kInvalidRequest,
                 found + ", which is not below the one before it; give the " + name + " in falling order");
    }
}

// Timesteps and sigmas follow from each other through the training schedule.
StepLayout at_timesteps(std::vector<double> timesteps, std::span<const float> train_sigmas) {
    StepLayout layout{std::move(timesteps), {}};
    // Timesteps are float32 before they are looked up.
    for (const double t : layout.timesteps)
        layout.sigmas.push_back(interpolate(train_sigmas, static_cast<float>(t)));
    return layout;
}

StepLayout at_sigmas(std::vector<double> sigmas, std::span<const float> train_sigmas) {
    StepLayout layout{{}, std::move(sigmas)};
    const auto logs = log_of(train_sigmas);
    for (const double value : layout.sigmas) layout.timesteps.push_back(sigma_to_timestep(value, logs));
    return layout;
}

StepLayout custom_timesteps(const StepPlan& plan, std::span<const float> train_sigmas) {
    check_list("timesteps", plan.timesteps, 0, static_cast<double>(train_sigmas.size() - 1));
    return at_timesteps(plan.timesteps, train_sigmas);
}

StepLayout custom_sigmas(const StepPlan& plan, std::span<const float> train_sigmas) {
    auto sigmas = plan.sigmas;
    if (sigmas.back() == 0) sigmas.pop_back();
    if (sigmas.empty())
        fail(ErrorCode::kInvalidRequest, "sigmas holds only the final 0; give the noise levels before it");
    constexpr double kLeast = 1e-4;
    constexpr double kMost = 1e4;
    check_list("sigmas", sigmas, kLeast, kMost);
    return at_sigmas(std::move(sigmas), train_sigmas);
}

// Evenly spaced timesteps from the noisiest one, the end at 0 left out; sigmas between the training
// timesteps by their logarithm, as k-diffusion has them.
StepLayout sgm_uniform(std::span<const float> train_sigmas, int steps) {
    auto timesteps = even_ramp(static_cast<double>(train_sigmas.size() - 1), 0, steps + 1);
    timesteps.pop_back();
    StepLayout layout{std::move(timesteps), {}};
    const auto logs = log_of(train_sigmas);
    for (const double t : layout.timesteps) layout.sigmas.push_back(std::exp(interpolate(logs, t)));
    return layout;
}

StepLayout evenly_spaced(const SchedulerConfig& config, std::span<const float> train_sigmas,
                         const LayoutRules& rules, int steps) {
    auto layout =
        at_timesteps(timestep_grid({.spacing = config.timestep_spacing.value_or(TimestepSpacing::kLinspace),
                                    .train_timesteps = config.num_train_timesteps,
                                    .last_timestep = rules.last_timestep,
                                    .steps_offset = config.steps_offset,
                                    .drop_last = rules.drop_last,
                                    .round_linspace = rules.round_linspace},
                                   steps),
                     train_sigmas);
    if (config.interpolation_type == InterpolationType::kLogLinear) {
        layout.sigmas = exponential_sigmas(train_sigmas.front(), train_sigmas.back(), steps + 1);
        layout.sigmas.pop_back();
    }
    return layout;
}

void check_ends(double low, double high, int steps) {
    if (low > 0 && (low < high || (low == high && steps == 1))) return;
    fail(ErrorCode::kInvalidModel, "the scheduler's sigma_min is " + number(low) + " and its sigma_max " +
                                       number(high) + ", expected 0 < sigma_min < sigma_max");
}

}  // namespace

SigmaSchedule sigma_schedule_of(const SchedulerConfig& config) {
    if (config.sigma_schedule != SigmaSchedule::kPlain) return config.sigma_schedule;
    return config.use_karras_sigmas ? SigmaSchedule::kKarras : SigmaSchedule::kPlain;
}

StepLayout lay_out_steps(const SchedulerConfig& config, std::span<const float> train_sigmas,
                         const LayoutRules& rules, const StepPlan& plan) {
    if (!plan.timesteps.empty()) return custom_timesteps(plan, train_sigmas);
    if (!plan.sigmas.empty()) return custom_sigmas(plan, train_sigmas);
    auto spaced = evenly_spaced(config, train_sigmas, rules, plan.steps);
    const double low =
        config.sigma_min.value_or(rules.ramp_over_train ? train_sigmas.front() : spaced.sigmas.back());
    const double high =
        config.sigma_max.value_or(rules.ramp_over_train ? train_sigmas.back() : spaced.sigmas.front());
    check_ends(low, high, plan.steps);
    std::vector<double> ramp;
    switch (sigma_schedule_of(config)) {
        case SigmaSchedule::kPlain:
            return spaced;
        case SigmaSchedule::kSgmUniform:
            return sgm_uniform(train_sigmas, plan.steps);
        case SigmaSchedule::kKarras:
            ramp = karras_sigmas(low, high, plan.steps);
            break;
        case SigmaSchedule::kExponential:
            ramp = exponential_sigmas(low, high, plan.steps);
            break;
        case SigmaSchedule::kBeta:
            ramp = beta_sigmas(low, high, plan.steps);
            break;
        case SigmaSchedule::kAlignYourSteps:
            ramp = align_your_steps_sigmas(plan.steps);
            break;
    }
    auto layout = at_sigmas(std::move(ramp), train_sigmas);
    if (rules.round_ramp)
        for (double& t : layout.timesteps) t = std::nearbyint(t);
    return layout;
}

std::vector<int> whole_timesteps(std::span<const double> timesteps) {
    std::vector<int> whole;
    for (std::size_t i = 0; i < timesteps.size(); ++i) {
        const int left = static_cast<int>(timesteps.size() - 1 - i);
        int t = std::max(static_cast<int>(std::nearbyint(timesteps[i])), left);
        if (i > 0) t = std::min(t, whole.back() - 1);
        whole.push_back(t);
    }
    return whole;
}

std::vector<float> to_float(std::span<const double> values) {
    std::vector<float> result;
    for (const double value : values) result.push_back(static_cast<float>(value));
    return result;
}

}  // namespace sdxl
