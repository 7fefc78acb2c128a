#include "sampling/sigma_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "sampling/beta_distribution.h"

namespace sdxl {
namespace {

TEST(SigmaSchedule, RampsFallFromOneEndToTheOther) {
    for (const auto ramp : {&karras_sigmas, &exponential_sigmas, &beta_sigmas})
        for (const int steps : {2, 3, 30, 500}) {
            const auto sigmas = ramp(0.1, 10, steps);
            ASSERT_EQ(sigmas.size(), static_cast<std::size_t>(steps));
            EXPECT_NEAR(sigmas.front(), 10, 1e-12);
            EXPECT_NEAR(sigmas.back(), 0.1, 1e-12);
            EXPECT_TRUE(std::is_sorted(sigmas.rbegin(), sigmas.rend(), std::less_equal<>()));
        }
    for (const auto ramp : {&karras_sigmas, &exponential_sigmas, &beta_sigmas})
        EXPECT_NEAR(ramp(0.1, 10, 1).at(0), 10, 1e-12);
}

TEST(SigmaSchedule, ExponentialFallsByTheSameFactor) {
    const auto sigmas = exponential_sigmas(0.03, 14.6, 12);
    const double factor = std::pow(0.03 / 14.6, 1.0 / 11);
    for (std::size_t i = 1; i < sigmas.size(); ++i) EXPECT_NEAR(sigmas[i] / sigmas[i - 1], factor, 1e-13);
}

// Seen from the other side: the distribution function at each sigma is evenly spaced. That function is tested
// against closed forms and quadrature by itself.
TEST(SigmaSchedule, BetaIsEvenInProbability) {
    constexpr int kSteps = 25;
    const auto sigmas = beta_sigmas(0.03, 14.6, kSteps);
    for (int i = 0; i < kSteps; ++i) {
        const double share = (sigmas[static_cast<std::size_t>(i)] - 0.03) / (14.6 - 0.03);
        EXPECT_NEAR(regularised_incomplete_beta(0.6, 0.6, share), 1 - i / (kSteps - 1.0), 1e-12) << i;
    }
}

TEST(SigmaSchedule, AlignYourStepsAtTenStepsIsTheOnePublished) {
    const std::vector<double> published = {14.615, 6.318, 3.768, 2.181, 1.341,
                                           0.862,  0.555, 0.380, 0.233, 0.111};
    const auto sigmas = align_your_steps_sigmas(10);
    ASSERT_EQ(sigmas.size(), published.size());
    for (std::size_t i = 0; i < published.size(); ++i) EXPECT_NEAR(sigmas[i], published[i], 6e-4) << i;
}

TEST(SigmaSchedule, AlignYourStepsIsInterpolatedInTheLogarithm) {
    const auto ten = align_your_steps_sigmas(10);
    const auto twenty = align_your_steps_sigmas(20);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_NEAR(twenty[2 * i], ten[i], 1e-9);
    for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(twenty[2 * i + 1], std::sqrt(ten[i] * ten[i + 1]), 1e-9);
    const auto five = align_your_steps_sigmas(5);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(five[i], ten[2 * i], 1e-9);
    EXPECT_NEAR(align_your_steps_sigmas(1).at(0), ten[0], 1e-9);
}

}  // namespace
}  // namespace sdxl
