#include "sampling/beta_distribution.h"

#include <cmath>
#include <limits>
#include <utility>

namespace sdxl {
namespace {

// x^a (1-x)^b / B(a, b)
double beta_weight(double a, double b, double x) {
    return std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) +
                    b * std::log1p(-x));
}

// 1 / (1 + d1 / (1 + d2 / (1 + ...))), by Lentz's method.
double continued_fraction(double a, double b, double x) {
    constexpr double kTiny = 1e-300;
    constexpr int kMostTerms = 500;
    double c = 1;
    double d = 0;
    double value = 1;
    for (int term = 0; term < kMostTerms; ++term) {
        const int half = term / 2;
        const double m = half;
        double coefficient = 1;
        if (term > 0 && term % 2 == 0)
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        else if (term > 0)
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + coefficient * d;
        c = 1 + coefficient / c;
        if (std::abs(d) < kTiny) d = kTiny;
        if (std::abs(c) < kTiny) c = kTiny;
        d = 1 / d;
        value *= c * d;
        if (term > 0 && std::abs(c * d - 1) < std::numeric_limits<double>::epsilon()) break;
    }
    return value - 1;
}

}  // namespace

double regularised_incomplete_beta(double a, double b, double x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    // The fraction converges fast below the mean; above it the function is mirrored.
    if (x > (a + 1) / (a + b + 2)) return 1 - regularised_incomplete_beta(b, a, 1 - x);
    return beta_weight(a, b, x) * continued_fraction(a, b, x) / a;
}

double beta_quantile(double a, double b, double p) {
    if (p <= 0) return 0;
    if (p >= 1) return 1;
    // The lower half only: near 1 a double has no room for the digits that the mirror image has near 0.
    const bool upper = p > regularised_incomplete_beta(a, b, 0.5);
    if (upper) {
        std::swap(a, b);
        p = 1 - p;
    }
    double low = 0;
    double high = 0.5;
    double x = 0.25;
    for (int round = 0; round < 200; ++round) {
        const double error = regularised_incomplete_beta(a, b, x) - p;
        (error > 0 ? high : low) = x;
        const double newton = x - error * x * (1 - x) / beta_weight(a, b, x);
        const double next = newton > low && newton < high ? newton : (low + high) / 2;
        const bool settled = std::abs(next - x) <= 2 * std::numeric_limits<double>::epsilon() * x;
        x = next;
        if (settled) break;
    }
    return upper ? 1 - x : x;
}

}  // namespace sdxl
