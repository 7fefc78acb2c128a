#include "sampling/dpm_solver_formula.h"

#include <cmath>

namespace sdxl {
namespace {

// Order 1 (DDIM), and the noise of the SDE variants.
DpmCoefficients first_order(DpmAlgorithm algorithm, const MixLevel& from, const MixLevel& to, float h) {
    DpmCoefficients c;
    switch (algorithm) {
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

// The integrals of the terms above order 1.
void add_higher_orders(DpmCoefficients& c, DpmAlgorithm algorithm, const MixLevel& to, float h) {
    const float h2 = 2.0f * h;
    switch (algorithm) {
        case DpmAlgorithm::kDpmSolverPlusPlus:
            c.d1 = to.alpha * ((std::exp(-h) - 1.0f) / h + 1.0f);
            c.d2 = -(to.alpha * ((std::exp(-h) - 1.0f + h) / (h * h) - 0.5f));
            break;
        case DpmAlgorithm::kDpmSolver:
            c.d1 = -(to.s * ((std::exp(h) - 1.0f) / h - 1.0f));
            c.d2 = -(to.s * ((std::exp(h) - 1.0f - h) / (h * h) - 0.5f));
            break;
        case DpmAlgorithm::kSdeDpmSolverPlusPlus:
            c.d1 = to.alpha * ((1.0f - std::exp(-h2)) / -h2 + 1.0f);
            c.d2 = to.alpha * ((1.0f - std::exp(-h2) - h2) / (h2 * h2) + 0.5f);
            break;
        case DpmAlgorithm::kSdeDpmSolver:
            c.d1 = -2.0f * (to.s * ((std::exp(h) - 1.0f) / h - 1.0f));
            break;
    }
}

}  // namespace

bool is_sde(DpmAlgorithm algorithm) {
    return algorithm == DpmAlgorithm::kSdeDpmSolver || algorithm == DpmAlgorithm::kSdeDpmSolverPlusPlus;
}

bool predicts_data(DpmAlgorithm algorithm) {
    return algorithm == DpmAlgorithm::kDpmSolverPlusPlus || algorithm == DpmAlgorithm::kSdeDpmSolverPlusPlus;
}

DpmCoefficients dpm_coefficients(DpmAlgorithm algorithm, DpmSolverType type, int order, const MixLevel& from,
                                 const MixLevel& to, float h) {
    DpmCoefficients c = first_order(algorithm, from, to, h);
    if (order == 2 && type != DpmSolverType::kHeun)
        c.d1 = 0.5f * c.d0;
    else if (order > 1)
        add_higher_orders(c, algorithm, to, h);
    return c;
}

}  // namespace sdxl
