#include "sampling/timestep_grid.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

void check_steps(const GridConfig& config, int steps) {
    const int most = config.last_timestep - (config.drop_last ? 1 : 0);
    if (steps < 1 || steps > most)
        fail(ErrorCode::kInvalidRequest,
             "the number of steps is " + std::to_string(steps) + ", expected 1 to " + std::to_string(most));
}

}  // namespace

std::vector<double> even_ramp(double first, double last, int steps) {
    std::vector<double> ramp(static_cast<std::size_t>(steps), first);
    if (steps == 1) return ramp;
    const double step = (last - first) / (steps - 1);
    for (int i = 0; i < steps; ++i) ramp[static_cast<std::size_t>(i)] = i * step + first;
    ramp.back() = last;
    return ramp;
}

std::vector<double> timestep_grid(const GridConfig& config, int steps) {
    check_steps(config, steps);
    const int points = steps + (config.drop_last ? 1 : 0);
    std::vector<double> grid;
    switch (config.spacing) {
        case TimestepSpacing::kLinspace:
            grid = even_ramp(0, config.last_timestep - 1, points);
            if (config.round_linspace)
                for (double& t : grid) t = std::nearbyint(t);
            std::reverse(grid.begin(), grid.end());
            break;
        case TimestepSpacing::kLeading: {
            const int ratio = config.last_timestep / points;
            for (int i = points - 1; i >= 0; --i) grid.push_back(i * ratio + config.steps_offset);
            if (grid.front() >= config.train_timesteps)
                fail(ErrorCode::kInvalidRequest,
                     std::to_string(steps) + " steps with leading spacing and steps_offset " +
                         std::to_string(config.steps_offset) +
                         " start beyond the last training timestep; ask for fewer steps or trailing spacing");
            break;
        }
        case TimestepSpacing::kTrailing: {
            const double ratio = static_cast<double>(config.train_timesteps) / steps;
            for (int i = 0; i < steps; ++i)
                grid.push_back(std::max(std::nearbyint(config.last_timestep - i * ratio) - 1, 0.0));
            break;
        }
    }
    grid.resize(static_cast<std::size_t>(steps));
    return grid;
}

double interpolate(std::span<const float> values, double index) {
    const double last = static_cast<double>(values.size() - 1);
    if (index <= 0) return values.front();
    if (index >= last) return values.back();
    const auto low = static_cast<std::size_t>(index);
    const double from = values[low];
    return (values[low + 1] - from) * (index - static_cast<double>(low)) + from;
}

std::vector<float> log_of(std::span<const float> sigmas) {
    std::vector<float> logs;
    for (const float sigma : sigmas) logs.push_back(std::log(sigma));
    return logs;
}

double sigma_to_timestep(double sigma, std::span<const float> log_sigmas) {
    const double wanted = std::log(std::max(sigma, 1e-10));
    const auto above = std::upper_bound(log_sigmas.begin(), log_sigmas.end(), wanted,
                                        [](double value, float entry) { return value < entry; });
    const auto below = std::max<std::ptrdiff_t>(above - log_sigmas.begin() - 1, 0);
    const auto low = std::min(static_cast<std::size_t>(below), log_sigmas.size() - 2);
    const double from = log_sigmas[low];
    const double to = log_sigmas[low + 1];
    const double weight = std::clamp((from - wanted) / (from - to), 0.0, 1.0);
    return (1 - weight) * static_cast<double>(low) + weight * static_cast<double>(low + 1);
}

}  // namespace sdxl
