#include "sampling/deis_multistep.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "sampling/vector_math.h"

namespace sdxl {
namespace {

// The integrals of 1, l and l^2 over rho, where l = log(rho / origin).
std::array<double, 3> antiderivatives(double rho, double origin) {
    const double l = std::log(rho / origin);
    return {rho, rho * (l - 1), rho * (l * l - 2 * l + 2)};
}

}  // namespace

std::unique_ptr<Scheduler> DeisMultistepScheduler::clone() const {
    return std::make_unique<DeisMultistepScheduler>(*this);
}

// The integral over this step of the polynomial in log rho that is 1 at one of the last `order` levels and 0
// at the others. rho is what sigmas() holds.
double DeisMultistepScheduler::weight(int call, int which, int order) const {
    const double from = sigma(call);
    const double to = sigma(call + 1);
    const double at = std::log(sigma(call - which) / from);
    std::array<double, 3> polynomial = {1, 0, 0};  // in log(rho / from), constant term first
    for (int other = 0; other < order; ++other) {
        if (other == which) continue;
        const double zero = std::log(sigma(call - other) / from);
        for (std::size_t power = 3; power-- > 0;)
            polynomial[power] =
                ((power > 0 ? polynomial[power - 1] : 0) - zero * polynomial[power]) / (at - zero);
    }
    const auto start = antiderivatives(from, from);
    const auto end = antiderivatives(to, from);
    double integral = 0;
    for (std::size_t power = 0; power < 3; ++power)
        integral += polynomial[power] * (end[power] - start[power]);
    return integral;
}

std::vector<float> DeisMultistepScheduler::step(std::span<const float> model_output, int call,
                                                std::span<const float> sample, NoiseSource&) {
    remember(convert(Target::kNoise, model_output, call, sample));
    const int order = multistep_order(call);
    const float alpha = level(call + 1).alpha;
    std::vector<float> next(sample.begin(), sample.end());
    for (float& value : next) value *= alpha / level(call).alpha;
    for (int which = 0; which < order; ++which)
        add_scaled(next, static_cast<float>(alpha * weight(call, which, order)),
                   remembered(static_cast<std::size_t>(which)));
    return next;
}

}  // namespace sdxl
