#include "sampling/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

// torch.linspace in float32, to the bit: counted from both ends, in blocks of a vector register that each
// start from one fused product, as its vectorised kernel works. A rounding of the betas would grow to 1e-5 in
// the trajectories of the ancestral methods.
std::vector<float> linspace(double start, double end, int count) {
    constexpr int kBlock = 8;
    const auto first = static_cast<float>(start);
    const auto last = static_cast<float>(end);
    const float step = (last - first) / static_cast<float>(count - 1);
    const auto exact = [&](int i) {
        return i < count / 2 ? std::fma(step, static_cast<float>(i), first)
                             : std::fma(-step, static_cast<float>(count - 1 - i), last);
    };
    std::vector<float> values(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        const int block = i - i % kBlock;
        const bool whole = block + kBlock <= count;
        values[static_cast<std::size_t>(i)] =
            whole ? exact(block) + step * static_cast<float>(i - block) : exact(i);
    }
    return values;
}

std::vector<float> squared_cosine_betas(int count) {
    constexpr double kMaxBeta = 0.999;
    const auto alpha_bar = [](double t) {
        return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2);
    };
    std::vector<float> betas;
    for (int i = 0; i < count; ++i) {
        const double from = static_cast<double>(i) / count;
        const double to = static_cast<double>(i + 1) / count;
        betas.push_back(static_cast<float>(std::min(1 - alpha_bar(to) / alpha_bar(from), kMaxBeta)));
    }
    return betas;
}

std::vector<float> make_betas(const SchedulerConfig& config) {
    if (!config.trained_betas.empty()) return config.trained_betas;
    switch (config.beta_schedule) {
        case BetaSchedule::kLinear:
            return linspace(config.beta_start, config.beta_end, config.num_train_timesteps);
        case BetaSchedule::kScaledLinear: {
            auto betas = linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end),
                                  config.num_train_timesteps);
            for (float& beta : betas) beta *= beta;
            return betas;
        }
        case BetaSchedule::kSquaredCosCapV2:
            return squared_cosine_betas(config.num_train_timesteps);
    }
    fail(ErrorCode::kInternal, "this beta schedule is not built");
}

std::vector<float> cumulative_alphas(const std::vector<float>& betas) {
    std::vector<float> alphas;
    double product = 1;
    for (const float beta : betas) {
        product *= 1.0f - beta;
        alphas.push_back(static_cast<float>(product));
    }
    return alphas;
}

std::vector<float> rescale_to_zero_terminal_snr(const std::vector<float>& betas) {
    std::vector<float> roots = cumulative_alphas(betas);
    for (float& value : roots) value = std::sqrt(value);
    const float first = roots.front();
    const float last = roots.back();
    for (float& value : roots) value = (value - last) * (first / (first - last));
    std::vector<float> rescaled;
    float previous = 1;
    for (const float root : roots) {
        const float alpha_bar = root * root;
        rescaled.push_back(1.0f - alpha_bar / previous);
        previous = alpha_bar;
    }
    return rescaled;
}

void check_betas(const SchedulerConfig& config, const std::vector<float>& betas) {
    if (static_cast<int>(betas.size()) != config.num_train_timesteps)
        fail(ErrorCode::kInvalidModel, "the scheduler's trained_betas hold " + std::to_string(betas.size()) +
                                           " values, num_train_timesteps is " +
                                           std::to_string(config.num_train_timesteps));
    for (const float beta : betas)
        if (!(beta > 0 && beta < 1))
            fail(ErrorCode::kInvalidModel,
                 "the scheduler's betas must lie between 0 and 1, found " + std::to_string(beta));
}

}  // namespace

NoiseSchedule make_noise_schedule(const SchedulerConfig& config) {
    auto betas = make_betas(config);
    check_betas(config, betas);
    if (config.rescale_betas_zero_snr) betas = rescale_to_zero_terminal_snr(betas);
    NoiseSchedule schedule;
    schedule.alphas_cumprod = cumulative_alphas(betas);
    if (config.rescale_betas_zero_snr) schedule.alphas_cumprod.back() = 0x1p-24f;
    for (const float alpha : schedule.alphas_cumprod)
        schedule.sigmas.push_back(std::sqrt((1.0f - alpha) / alpha));
    return schedule;
}

}  // namespace sdxl
