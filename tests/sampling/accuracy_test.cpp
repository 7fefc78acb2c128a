// Numbers that no golden file has: orders of convergence and variances on a model whose exact answer is
// known, and two methods once more in double precision, written as k-diffusion's papers have them.
//
// The model is the perfect one of data that is normal with mean 0 and deviation c. There the clean sample is
// D(x, sigma) = x c^2 / (c^2 + sigma^2), a sample at noise level sigma is normal with variance
// c^2 + sigma^2, and the probability-flow ODE dx/dsigma = (x - D) / sigma has the solution
// x(sigma) = x(s) sqrt((c^2 + sigma^2) / (c^2 + s^2)).
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "fixed_noise.h"
#include "sampling/scheduler_registry.h"
#include "sdxl_config.h"
#include "seen_level.h"

namespace sdxl {
namespace {

constexpr double kSpread = 0.7;  // c

double spread_at(double sigma) {
    return std::sqrt(kSpread * kSpread + sigma * sigma);
}

std::vector<float> normal_data_model(const Scheduler& scheduler, int call, const std::vector<float>& sample) {
    const auto [gain, sigma] = seen_level(scheduler, call);
    std::vector<float> noise;
    for (const float value : sample)
        noise.push_back(static_cast<float>(value / gain * sigma / (spread_at(sigma) * spread_at(sigma))));
    return noise;
}

// Sigmas that fall by the same factor down to the lowest training sigma.
std::unique_ptr<Scheduler> even_in_lambda(SchedulerType type, int steps) {
    auto config = sdxl_config();
    config.timestep_spacing = TimestepSpacing::kLinspace;
    config.sigma_schedule = SigmaSchedule::kExponential;
    auto scheduler = make_scheduler(type, config);
    scheduler->set_timesteps(steps);
    return scheduler;
}

// The samples where the last step starts; the step itself jumps to 0, which is another matter.
std::vector<float> run_to_last_step(Scheduler& scheduler, int steps, std::vector<float> sample,
                                    NoiseSource& noise) {
    for (int call = 0; call < scheduler.first_call(steps - 1); ++call)
        sample = scheduler.step(normal_data_model(scheduler, call, sample), call, sample, noise);
    return sample;
}

double ode_error(SchedulerType type, int steps) {
    const auto scheduler = even_in_lambda(type, steps);
    const auto start = seen_level(*scheduler, 0);
    const auto end = seen_level(*scheduler, scheduler->first_call(steps - 1));
    FixedNoise noise;
    const auto sample = run_to_last_step(*scheduler, steps, {1}, noise);
    const double exact = end.gain * spread_at(end.sigma) / (start.gain * spread_at(start.sigma));
    return std::abs(sample[0] / exact - 1);
}

TEST(Accuracy, DeterministicMethodsConvergeAtTheirOrder) {
    struct Case {
        SchedulerType type;
        int order;
    };
    // LMS and the third order of DPM++ are held back to 2 by their first steps.
    const Case cases[] = {
        {SchedulerType::kEuler, 1},
        {SchedulerType::kHeun, 2},
        {SchedulerType::kDpm2, 2},
        {SchedulerType::kLms, 2},
        {SchedulerType::kDpmSolverMultistep, 2},
        {SchedulerType::kDpmPlusPlus3M, 2},
        {SchedulerType::kDpmSolverSinglestep, 2},
        {SchedulerType::kUniPc, 2},
        {SchedulerType::kDeis, 2},
    };
    for (const auto& [type, order] : cases) {
        SCOPED_TRACE(std::string(scheduler_title(type)));
        const double coarse = ode_error(type, 25);
        const double fine = ode_error(type, 50);
        EXPECT_LT(fine, order == 1 ? 0.1 : 0.01);
        EXPECT_GT(coarse / fine, order == 1 ? 1.7 : 3);
    }
}

// The first element is the start with its own deviation, the others the response to one draw each: the sum of
// their squares is the variance of what comes out, without any sampling error.
double variance_error(SchedulerType type, int steps) {
    const auto scheduler = even_in_lambda(type, steps);
    const auto start = seen_level(*scheduler, 0);
    const auto end = seen_level(*scheduler, scheduler->first_call(steps - 1));
    std::vector<float> sample(static_cast<std::size_t>(2 * steps + 2));
    sample[0] = static_cast<float>(start.gain * spread_at(start.sigma));
    ImpulseNoise noise;
    double variance = 0;
    for (const float value : run_to_last_step(*scheduler, steps, sample, noise)) variance += value * value;
    const double exact = std::pow(end.gain * spread_at(end.sigma), 2);
    return std::abs(variance / exact - 1);
}

TEST(Accuracy, StochasticMethodsKeepTheVariance) {
    struct Case {
        SchedulerType type;
        double at_50_steps;
        double fall;  // from 50 to 100 steps
    };
    const Case cases[] = {
        {SchedulerType::kEulerAncestral, 0.2, 1.7},      {SchedulerType::kDpm2Ancestral, 0.02, 3},
        {SchedulerType::kDpmSolverSde, 0.02, 3},         {SchedulerType::kDpmPlusPlus2MSde, 0.02, 3},
        {SchedulerType::kDpmPlusPlus2MSdeHeun, 0.02, 3}, {SchedulerType::kDpmPlusPlus3MSde, 0.02, 3},
    };
    for (const auto& [type, at_50_steps, fall] : cases) {
        SCOPED_TRACE(std::string(scheduler_title(type)));
        const double coarse = variance_error(type, 50);
        const double fine = variance_error(type, 100);
        EXPECT_LT(coarse, at_50_steps);
        EXPECT_GT(coarse / fine, fall);
    }
}

// A curved model on samples x0 + sigma * noise, for the recomputations.
double curved(double x, double sigma) {
    return 0.8 * std::tanh(x / std::sqrt(1 + sigma * sigma)) + 0.1 * x / (1 + sigma);
}

std::vector<float> curved_noise(const Scheduler& scheduler, int call, const std::vector<float>& sample) {
    const auto [gain, sigma] = seen_level(scheduler, call);
    std::vector<float> noise;
    for (const float value : sample)
        noise.push_back(static_cast<float>((value / gain - curved(value / gain, sigma)) / sigma));
    return noise;
}

using Sample = std::vector<double>;

Sample draw(NoiseSource& noise, std::size_t count) {
    const auto values = noise.normal(static_cast<std::int64_t>(count));
    return {values.begin(), values.end()};
}

// The third-order multistep SDE solver on x0 + sigma * noise with its phi functions, as k-diffusion's
// `sample_dpmpp_3m_sde` documents it (eta 1): order 1 at the first step, 2 at the second.
Sample reference_3m_sde(const std::vector<double>& sigmas, Sample x, NoiseSource& noise) {
    std::vector<Sample> seen;  // clean samples, the newest first
    std::vector<double> lengths;
    for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
        Sample clean;
        for (const double value : x) clean.push_back(curved(value, sigmas[i]));
        seen.insert(seen.begin(), clean);
        const double h = std::log(sigmas[i] / sigmas[i + 1]);
        const double doubled = 2 * h;
        const double phi1 = -std::expm1(-doubled);
        const double phi2 = std::expm1(-doubled) / doubled + 1;
        const double phi3 = phi2 / doubled - 0.5;
        const auto z = draw(noise, x.size());
        for (std::size_t j = 0; j < x.size(); ++j) {
            double next = std::exp(-doubled) * x[j] + phi1 * seen[0][j];
            if (i == 1) next += phi2 * (seen[0][j] - seen[1][j]) / (lengths[0] / h);
            if (i > 1) {
                const double r0 = lengths[0] / h;
                const double r1 = lengths[1] / h;
                const double newer = (seen[0][j] - seen[1][j]) / r0;
                const double older = (seen[1][j] - seen[2][j]) / r1;
                const double slope = newer + (newer - older) * r0 / (r0 + r1);
                next += phi2 * slope - phi3 * (newer - older) / (r0 + r1);
            }
            x[j] = next + sigmas[i + 1] * std::sqrt(phi1) * z[j];
        }
        lengths.insert(lengths.begin(), h);
    }
    return x;
}

// The singlestep SDE solver in t = -log(sigma), as k-diffusion's `sample_dpmpp_sde` documents it (eta 1,
// r 1/2), on a Brownian path whose increments are drawn one after the other.
Sample reference_sde(const std::vector<double>& sigmas, Sample x, NoiseSource& noise) {
    struct Split {
        double t, up;  // how far down, and the deviation of the noise back up
    };
    const auto split = [](double from, double to) {
        const double up = std::min(to, std::sqrt(to * to * (1 - to * to / (from * from))));
        return Split{-std::log(std::sqrt(to * to - up * up)), up};
    };
    for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
        const double t = -std::log(sigmas[i]);
        const double middle = std::exp(-(t - std::log(sigmas[i + 1])) / 2);
        const Split first = split(sigmas[i], middle);
        const Split whole = split(sigmas[i], sigmas[i + 1]);
        const auto early = draw(noise, x.size());
        const auto late = draw(noise, x.size());
        for (std::size_t j = 0; j < x.size(); ++j) {
            const double clean = curved(x[j], sigmas[i]);
            const double there =
                std::exp(t - first.t) * x[j] - std::expm1(t - first.t) * clean + first.up * early[j];
            const double path =
                std::sqrt(sigmas[i] - middle) * early[j] + std::sqrt(middle - sigmas[i + 1]) * late[j];
            x[j] = std::exp(t - whole.t) * x[j] - std::expm1(t - whole.t) * curved(there, middle) +
                   whole.up * path / std::sqrt(sigmas[i] - sigmas[i + 1]);
        }
    }
    return x;
}

using Reference = Sample (*)(const std::vector<double>&, Sample, NoiseSource&);

void compare(SchedulerType type, SigmaSchedule schedule, Reference reference) {
    constexpr int kSteps = 20;
    SCOPED_TRACE(std::string(scheduler_title(type)) + " " + std::string(sigma_schedule_name(schedule)));
    auto config = sdxl_config();
    config.sigma_schedule = schedule;
    const auto scheduler = make_scheduler(type, config);
    scheduler->set_timesteps(kSteps);
    const int last = scheduler->first_call(kSteps - 1);
    std::vector<double> sigmas;
    for (int step = 0; step < kSteps; ++step)
        sigmas.push_back(scheduler->sigmas()[static_cast<std::size_t>(scheduler->first_call(step))]);
    std::vector<float> sample;
    Sample exact;
    const auto start = seen_level(*scheduler, 0);
    for (int i = 0; i < 16; ++i) {
        exact.push_back(sigmas[0] * std::sin(0.37 * i + 0.2));
        sample.push_back(static_cast<float>(start.gain * exact.back()));
    }
    FixedNoise noise;
    for (int call = 0; call < last; ++call)
        sample = scheduler->step(curved_noise(*scheduler, call, sample), call, sample, noise);
    FixedNoise again;
    exact = reference(sigmas, exact, again);
    const double gain = seen_level(*scheduler, last).gain;
    for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(sample[i] / gain, exact[i], 2e-5);
}

TEST(Accuracy, Dpm3MSdeIsThatOfItsDefinition) {
    for (const auto schedule : {SigmaSchedule::kPlain, SigmaSchedule::kKarras, SigmaSchedule::kExponential})
        compare(SchedulerType::kDpmPlusPlus3MSde, schedule, &reference_3m_sde);
}

TEST(Accuracy, DpmSdeIsThatOfItsDefinition) {
    for (const auto schedule : {SigmaSchedule::kPlain, SigmaSchedule::kKarras, SigmaSchedule::kExponential})
        compare(SchedulerType::kDpmSolverSde, schedule, &reference_sde);
}

}  // namespace
}  // namespace sdxl
