// What holds for every scheduler. Their numbers are checked by sdxl-golden.
#include "sampling/scheduler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "sampling/scheduler_registry.h"

namespace sdxl {
namespace {

using Values = std::vector<float>;

SchedulerConfig sdxl_config() {
    SchedulerConfig config;
    config.beta_start = 0.00085;
    config.beta_end = 0.012;
    config.beta_schedule = BetaSchedule::kScaledLinear;
    config.timestep_spacing = TimestepSpacing::kLeading;
    config.steps_offset = 1;
    return config;
}

// The perfect model of data that is always `target`: what noise is in a sample at this noise level.
Values exact_noise(const Values& sample, float target, float sigma, bool variance_preserving) {
    const float alpha = variance_preserving ? 1 / std::sqrt(1 + sigma * sigma) : 1;
    Values noise;
    for (const float value : sample) noise.push_back((value - alpha * target) / (alpha * sigma));
    return noise;
}

class EveryScheduler : public testing::TestWithParam<SchedulerType> {
  protected:
    bool variance_preserving() const { return GetParam() == SchedulerType::kDpmSolverMultistep; }
    Values run(Scheduler& scheduler, Values sample, int from, int to, NoiseSource& noise) const {
        for (int i = from; i < to; ++i) {
            const auto sigma = scheduler.sigmas()[static_cast<std::size_t>(i)];
            sample =
                scheduler.step(exact_noise(sample, 0.5f, sigma, variance_preserving()), i, sample, noise);
        }
        return sample;
    }
};

TEST_P(EveryScheduler, APerfectModelGivesTheData) {
    for (const bool karras : {false, true})
        for (const int steps : {1, 2, 3, 7, 30}) {
            auto config = sdxl_config();
            config.use_karras_sigmas = karras;
            const auto scheduler = make_scheduler(GetParam(), config);
            scheduler->set_timesteps(steps);
            ASSERT_EQ(scheduler->timesteps().size(), static_cast<std::size_t>(steps));
            ASSERT_EQ(scheduler->sigmas().size(), static_cast<std::size_t>(steps) + 1);
            EXPECT_EQ(scheduler->sigmas().back(), 0);
            const auto noise = make_noise_source(RngKind::kCpu, 1);
            auto sample = noise->normal(16);
            for (float& value : sample) value *= scheduler->init_noise_sigma();
            for (const float value : run(*scheduler, sample, 0, steps, *noise))
                EXPECT_NEAR(value, 0.5f, 1e-4);
        }
}

TEST_P(EveryScheduler, AClonePicksUpInTheMiddle) {
    const auto whole = make_scheduler(GetParam(), sdxl_config());
    whole->set_timesteps(8);
    const auto noise = make_noise_source(RngKind::kCpu, 2);
    const auto start = noise->normal(16);
    const auto middle = run(*whole, start, 0, 4, *noise);
    const auto copy = whole->clone();
    const auto one = make_noise_source(RngKind::kPhilox, 3);
    const auto two = make_noise_source(RngKind::kPhilox, 3);
    EXPECT_EQ(run(*whole, middle, 4, 8, *one), run(*copy, middle, 4, 8, *two));
}

TEST_P(EveryScheduler, SetTimestepsForgetsTheLastRun) {
    const auto used = make_scheduler(GetParam(), sdxl_config());
    const auto fresh = make_scheduler(GetParam(), sdxl_config());
    const auto one = make_noise_source(RngKind::kPhilox, 3);
    const auto two = make_noise_source(RngKind::kPhilox, 3);
    const Values start(16, 0.25f);
    used->set_timesteps(5);
    run(*used, start, 0, 3, *make_noise_source(RngKind::kPhilox, 9));
    used->set_timesteps(8);
    fresh->set_timesteps(8);
    EXPECT_EQ(run(*used, start, 0, 8, *one), run(*fresh, start, 0, 8, *two));
}

TEST_P(EveryScheduler, MayStartLater) {
    const auto scheduler = make_scheduler(GetParam(), sdxl_config());
    scheduler->set_timesteps(10);
    const auto noise = make_noise_source(RngKind::kCpu, 4);
    const auto sample = scheduler->add_noise(Values(16, 0.5f), noise->normal(16), 6);
    for (const float value : run(*scheduler, sample, 6, 10, *noise)) EXPECT_NEAR(value, 0.5f, 1e-4);
}

TEST_P(EveryScheduler, RefusesImpossibleStepCounts) {
    const auto scheduler = make_scheduler(GetParam(), sdxl_config());
    for (const int steps : {-5, 0, 5000}) {
        try {
            scheduler->set_timesteps(steps);
            FAIL() << steps;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Schedulers, EveryScheduler,
                         testing::Values(SchedulerType::kEuler, SchedulerType::kEulerAncestral,
                                         SchedulerType::kDpmSolverMultistep),
                         [](const auto& type) { return std::string(scheduler_class_name(type.param)); });

// All members of the DPM-Solver family solve the same equation.
TEST(DpmSolver, EveryVariantGivesTheDataOfAPerfectModel) {
    for (const auto algorithm : {DpmAlgorithm::kDpmSolver, DpmAlgorithm::kDpmSolverPlusPlus,
                                 DpmAlgorithm::kSdeDpmSolver, DpmAlgorithm::kSdeDpmSolverPlusPlus})
        for (const auto solver : {DpmSolverType::kMidpoint, DpmSolverType::kHeun})
            for (const int order : {1, 2, 3}) {
                const bool sde = algorithm == DpmAlgorithm::kSdeDpmSolver ||
                                 algorithm == DpmAlgorithm::kSdeDpmSolverPlusPlus;
                if (sde && order == 3) continue;
                auto config = sdxl_config();
                config.algorithm_type = algorithm;
                config.solver_type = solver;
                config.solver_order = order;
                config.final_sigmas_type = FinalSigmasType::kSigmaMin;
                config.use_karras_sigmas = true;
                const auto scheduler = make_scheduler(SchedulerType::kDpmSolverMultistep, config);
                scheduler->set_timesteps(20);
                const auto noise = make_noise_source(RngKind::kCpu, 1);
                auto sample = noise->normal(16);
                for (int i = 0; i < 20; ++i) {
                    const auto sigma = scheduler->sigmas()[static_cast<std::size_t>(i)];
                    sample = scheduler->step(exact_noise(sample, 0.5f, sigma, true), i, sample, *noise);
                }
                // What is left is noise of the final sigma, 0.029; sde-dpmsolver is only first-order accurate
                // in it.
                for (const float value : sample) EXPECT_NEAR(value, 0.5f, 0.2f);
            }
}

TEST(DpmSolver, RefusesWhatTheMethodDoesNotHave) {
    auto config = sdxl_config();
    config.algorithm_type = DpmAlgorithm::kDpmSolver;
    EXPECT_THROW(make_scheduler(SchedulerType::kDpmSolverMultistep, config), Failure);
    config.algorithm_type = DpmAlgorithm::kSdeDpmSolverPlusPlus;
    config.solver_order = 3;
    EXPECT_THROW(make_scheduler(SchedulerType::kDpmSolverMultistep, config), Failure);
}

// v = alpha * noise - s * x0, so a perfect v-model and a perfect noise model step alike.
TEST(EulerDiscrete, PredictionTypesAgree) {
    Values results[3];
    const PredictionType types[] = {PredictionType::kEpsilon, PredictionType::kVPrediction,
                                    PredictionType::kSample};
    for (int k = 0; k < 3; ++k) {
        auto config = sdxl_config();
        config.prediction_type = types[k];
        const auto scheduler = make_scheduler(SchedulerType::kEuler, config);
        scheduler->set_timesteps(6);
        const float sigma = scheduler->sigmas()[0];
        const float alpha = 1 / std::sqrt(1 + sigma * sigma);
        const Values sample = {1.0f, -2.0f, 3.0f};
        const Values noise = exact_noise(sample, 0.5f, sigma, false);
        Values output = noise;
        for (float& value : output) {
            if (k == 1) value = alpha * value - alpha * sigma * 0.5f;
            if (k == 2) value = 0.5f;
        }
        results[k] = scheduler->step(output, 0, sample, *make_noise_source(RngKind::kCpu, 0));
    }
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(results[0][i], results[1][i], 1e-5);
        EXPECT_NEAR(results[0][i], results[2][i], 1e-5);
    }
}

}  // namespace
}  // namespace sdxl
