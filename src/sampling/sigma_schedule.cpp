#include "sampling/sigma_schedule.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "sampling/beta_distribution.h"
#include "sampling/timestep_grid.h"

namespace sdxl {

std::vector<double> karras_sigmas(double sigma_min, double sigma_max, int steps) {
    constexpr double kRho = 7;
    const double low = std::pow(sigma_min, 1 / kRho);
    const double high = std::pow(sigma_max, 1 / kRho);
    auto sigmas = even_ramp(0, 1, steps);
    for (double& value : sigmas) value = std::pow(high + value * (low - high), kRho);
    return sigmas;
}

std::vector<double> exponential_sigmas(double sigma_min, double sigma_max, int steps) {
    auto sigmas = even_ramp(std::log(sigma_max), std::log(sigma_min), steps);
    for (double& value : sigmas) value = std::exp(value);
    return sigmas;
}

std::vector<double> beta_sigmas(double sigma_min, double sigma_max, int steps) {
    constexpr double kShape = 0.6;
    auto sigmas = even_ramp(1, 0, steps);
    for (double& value : sigmas)
        value = sigma_min + beta_quantile(kShape, kShape, value) * (sigma_max - sigma_min);
    return sigmas;
}

std::vector<double> align_your_steps_sigmas(int steps) {
    constexpr std::array<double, 11> kPublished = {14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769,
                                                   1.3405244945,  0.8620721141, 0.5550693289, 0.3798540708,
                                                   0.2332364134,  0.1114188177, 0.0291671582};
    auto sigmas = even_ramp(0, kPublished.size() - 1, steps + 1);
    sigmas.pop_back();
    for (double& value : sigmas) {
        const auto low = static_cast<std::size_t>(value);
        const double weight = value - static_cast<double>(low);
        value = std::exp((1 - weight) * std::log(kPublished[low]) + weight * std::log(kPublished[low + 1]));
    }
    return sigmas;
}

}  // namespace sdxl
