#include "sampling/lms_discrete.h"

#include <cstddef>

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> LmsDiscreteScheduler::clone() const {
    return std::make_unique<LmsDiscreteScheduler>(*this);
}

void LmsDiscreteScheduler::lay_out(const StepPlan& plan) {
    VarianceExplodingScheduler::lay_out(plan);
    derivatives_.clear();
}

// The integral over this step of the polynomial that is 1 at one of the last `order` sigmas and 0 at the
// others.
double LmsDiscreteScheduler::coefficient(int call, int which, int order) const {
    const double start = sigma(call);
    const double length = static_cast<double>(sigma(call + 1)) - start;
    const double at = static_cast<double>(sigma(call - which)) - start;
    // Coefficients of the polynomial in (sigma - start), constant term first.
    std::vector<double> polynomial = {1};
    for (int other = 0; other < order; ++other) {
        if (other == which) continue;
        const double zero = static_cast<double>(sigma(call - other)) - start;
        polynomial.push_back(0);
        for (std::size_t power = polynomial.size(); power-- > 0;)
            polynomial[power] =
                ((power > 0 ? polynomial[power - 1] : 0) - zero * polynomial[power]) / (at - zero);
    }
    double integral = 0;
    for (std::size_t power = polynomial.size(); power-- > 0;)
        integral = (integral + polynomial[power] / static_cast<double>(power + 1)) * length;
    return integral;
}

std::vector<float> LmsDiscreteScheduler::step(std::span<const float> model_output, int call,
                                              std::span<const float> sample, NoiseSource&) {
    constexpr std::size_t kOrder = 4;
    auto derivative = mix(1, sample, -1, denoised(model_output, call, sample));
    for (float& value : derivative) value /= sigma(call);
    derivatives_.insert(derivatives_.begin(), std::move(derivative));
    if (derivatives_.size() > kOrder) derivatives_.pop_back();
    const int order = static_cast<int>(derivatives_.size());
    std::vector<float> next(sample.begin(), sample.end());
    for (int which = 0; which < order; ++which)
        add_scaled(next, static_cast<float>(coefficient(call, which, order)),
                   derivatives_[static_cast<std::size_t>(which)]);
    return next;
}

}  // namespace sdxl
