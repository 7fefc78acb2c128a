#include "sampling/unipc_multistep.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "sampling/vector_math.h"

namespace sdxl {
namespace {

// Solves sum_j nodes_j^i x_j = right_i for i = 0, 1, ... by elimination; the nodes are few and distinct.
std::vector<double> solve_vandermonde(const std::vector<double>& nodes, std::vector<double> right) {
    const std::size_t n = nodes.size();
    std::vector<std::vector<double>> rows(n, std::vector<double>(n, 1));
    for (std::size_t i = 1; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) rows[i][j] = rows[i - 1][j] * nodes[j];
    for (std::size_t pivot = 0; pivot < n; ++pivot)
        for (std::size_t i = pivot + 1; i < n; ++i) {
            const double factor = rows[i][pivot] / rows[pivot][pivot];
            for (std::size_t j = pivot; j < n; ++j) rows[i][j] -= factor * rows[pivot][j];
            right[i] -= factor * right[pivot];
        }
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t j = i + 1; j < n; ++j) right[i] -= rows[i][j] * right[j];
        right[i] /= rows[i][i];
    }
    return right;
}

}  // namespace

struct UniPcMultistepScheduler::Equations {
    double scale;               // of the correction, with its sign
    std::vector<double> nodes;  // places of the differences in units of the step: earlier ones, then 1
    std::vector<double> right;  // moments that the weights must have
};

std::unique_ptr<Scheduler> UniPcMultistepScheduler::clone() const {
    return std::make_unique<UniPcMultistepScheduler>(*this);
}

void UniPcMultistepScheduler::lay_out(const StepPlan& plan) {
    VariancePreservingScheduler::lay_out(plan);
    last_order_ = 0;
    last_sample_.clear();
}

UniPcMultistepScheduler::Equations UniPcMultistepScheduler::equations(int call, int order) const {
    const double h = static_cast<double>(lambda(call + 1)) - lambda(call);
    const double hh = config().predict_x0 ? -h : h;
    const double b_h = config().solver_type == DpmSolverType::kBh1 ? hh : std::expm1(hh);
    const MixLevel to = level(call + 1);
    Equations result{-b_h * (config().predict_x0 ? to.alpha : to.s), {}, {}};
    for (int age = 1; age < order; ++age)
        result.nodes.push_back((static_cast<double>(lambda(call - age)) - lambda(call)) / h);
    result.nodes.push_back(1);
    double factorial = 1;
    double phi = std::expm1(hh) / hh - 1;
    for (int i = 1; i <= order; ++i) {
        result.right.push_back(phi * factorial / b_h);
        factorial *= i + 1;
        phi = phi / hh - 1 / factorial;
    }
    return result;
}

std::vector<float> UniPcMultistepScheduler::first_order_step(int call, std::span<const float> sample) const {
    const MixLevel from = level(call);
    const MixLevel to = level(call + 1);
    const float h = lambda(call + 1) - lambda(call);
    if (config().predict_x0) return mix(to.s / from.s, sample, -to.alpha * std::expm1(-h), remembered(0));
    return mix(to.alpha / from.alpha, sample, -to.s * std::expm1(h), remembered(0));
}

// The divided difference between `call` and the one `age` before it, in units of the step from `call`.
std::vector<float> UniPcMultistepScheduler::difference(int call, int age) const {
    const float h = lambda(call + 1) - lambda(call);
    const float distance = (lambda(call - age) - lambda(call)) / h;
    return mix(1 / distance, remembered(static_cast<std::size_t>(age)), -1 / distance, remembered(0));
}

std::vector<float> UniPcMultistepScheduler::predict(int call, int order,
                                                    std::span<const float> sample) const {
    auto next = first_order_step(call, sample);
    if (order == 1) return next;
    auto [scale, nodes, right] = equations(call, order);
    nodes.pop_back();
    right.pop_back();
    // One node alone leaves a choice; UniPC's authors take the one that is exact as h goes to 0.
    const auto weights = order == 2 ? std::vector<double>{0.5} : solve_vandermonde(nodes, right);
    for (int age = 1; age < order; ++age)
        add_scaled(next, static_cast<float>(scale * weights[static_cast<std::size_t>(age - 1)]),
                   difference(call, age));
    return next;
}

// The step from `call` once more, knowing the output at its end.
std::vector<float> UniPcMultistepScheduler::correct(int call, int order, std::span<const float> start,
                                                    std::span<const float> newest) const {
    auto corrected = first_order_step(call, start);
    const auto [scale, nodes, right] = equations(call, order);
    const auto weights = order == 1 ? std::vector<double>{0.5} : solve_vandermonde(nodes, right);
    for (int age = 1; age < order; ++age)
        add_scaled(corrected, static_cast<float>(scale * weights[static_cast<std::size_t>(age - 1)]),
                   difference(call, age));
    add_scaled(corrected, static_cast<float>(scale * weights.back()), mix(1, newest, -1, remembered(0)));
    return corrected;
}

// The order of the step from `call`, whose output is remembered already.
int UniPcMultistepScheduler::order_at(int call) const {
    if (sigma(call + 1) == sigma(call)) return 1;
    const int most =
        config().lower_order_final ? std::min(config().solver_order, calls() - call) : config().solver_order;
    return std::min(most, last_order_ + 1);
}

std::vector<float> UniPcMultistepScheduler::step(std::span<const float> model_output, int call,
                                                 std::span<const float> sample, NoiseSource&) {
    const auto target = config().predict_x0 ? Target::kData : Target::kNoise;
    auto converted = convert(target, model_output, call, sample);
    std::vector<float> current(sample.begin(), sample.end());
    if (last_order_ > 0 && sigma(call) != sigma(call - 1))
        current = correct(call - 1, last_order_, last_sample_, converted);
    remember(std::move(converted));
    last_order_ = order_at(call);
    auto next = predict(call, last_order_, current);
    last_sample_ = std::move(current);
    return next;
}

}  // namespace sdxl
