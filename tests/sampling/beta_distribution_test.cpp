#include "sampling/beta_distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace sdxl {
namespace {

// I_x(a, b) by the midpoint rule. The substitutions t = u^(1/a) and t = 1 - u^(1/b) take the singularities
// out of the two halves.
double by_quadrature(double a, double b, double x) {
    constexpr int kPoints = 200000;
    // The integral of t^(p-1) (1-t)^(q-1) from 0 to `end` <= 1/2.
    const auto lower = [](double p, double q, double end) {
        const double top = std::pow(end, p);
        double sum = 0;
        for (int i = 0; i < kPoints; ++i) {
            const double u = (i + 0.5) / kPoints * top;
            sum += std::pow(1 - std::pow(u, 1 / p), q - 1);
        }
        return sum * top / kPoints / p;
    };
    const double all = lower(a, b, 0.5) + lower(b, a, 0.5);
    return x <= 0.5 ? lower(a, b, x) / all : 1 - lower(b, a, 1 - x) / all;
}

TEST(BetaDistribution, ClosedForms) {
    for (double x = 0.01; x < 1; x += 0.03) {
        EXPECT_NEAR(regularised_incomplete_beta(0.5, 0.5, x), 2 / std::numbers::pi * std::asin(std::sqrt(x)),
                    1e-14);
        EXPECT_NEAR(regularised_incomplete_beta(1, 3, x), 1 - std::pow(1 - x, 3), 1e-14);
        EXPECT_NEAR(regularised_incomplete_beta(2.5, 1, x), std::pow(x, 2.5), 1e-14);
        EXPECT_NEAR(regularised_incomplete_beta(2, 2, x), x * x * (3 - 2 * x), 1e-14);
    }
    EXPECT_EQ(regularised_incomplete_beta(0.6, 0.6, 0), 0);
    EXPECT_EQ(regularised_incomplete_beta(0.6, 0.6, 1), 1);
}

TEST(BetaDistribution, Quadrature) {
    for (const double x : {0.001, 0.02, 0.3, 0.5, 0.71, 0.999})
        EXPECT_NEAR(regularised_incomplete_beta(0.6, 0.6, x), by_quadrature(0.6, 0.6, x), 1e-9) << x;
    EXPECT_NEAR(regularised_incomplete_beta(0.6, 2.3, 0.2), by_quadrature(0.6, 2.3, 0.2), 1e-9);
}

TEST(BetaDistribution, QuantilesInvert) {
    for (double p = 1e-6; p < 1; p += 0.0137) {
        EXPECT_NEAR(regularised_incomplete_beta(0.6, 0.6, beta_quantile(0.6, 0.6, p)), p, 1e-13) << p;
        const double root = std::sin(std::numbers::pi * p / 2);
        EXPECT_NEAR(beta_quantile(0.5, 0.5, p), root * root, 1e-13) << p;
        EXPECT_NEAR(beta_quantile(3, 1, p), std::cbrt(p), 1e-13) << p;
    }
    EXPECT_EQ(beta_quantile(0.6, 0.6, 0), 0);
    EXPECT_EQ(beta_quantile(0.6, 0.6, 1), 1);
    EXPECT_NEAR(beta_quantile(0.6, 0.6, 0.5), 0.5, 1e-14);
    // Small probabilities keep their relative accuracy: x is nearly (p a B(a, b))^(1/a).
    const double b = std::exp(2 * std::lgamma(0.6) - std::lgamma(1.2));
    EXPECT_NEAR(beta_quantile(0.6, 0.6, 1e-9) / std::pow(1e-9 * 0.6 * b, 1 / 0.6), 1, 1e-9);
}

}  // namespace
}  // namespace sdxl
