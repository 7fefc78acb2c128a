// What holds for every scheduler. Their numbers are checked by sdxl-golden, and by accuracy_test.cpp where
// diffusers 0.27 has none.
#include "sampling/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "core/error.h"
#include "fixed_noise.h"
#include "sampling/scheduler_registry.h"
#include "sdxl_config.h"
#include "seen_level.h"

namespace sdxl {
namespace {

using Values = std::vector<float>;

constexpr SigmaSchedule kSigmaSchedules[] = {SigmaSchedule::kPlain,       SigmaSchedule::kKarras,
                                             SigmaSchedule::kExponential, SigmaSchedule::kBeta,
                                             SigmaSchedule::kSgmUniform,  SigmaSchedule::kAlignYourSteps};

int calls(const Scheduler& scheduler) {
    return static_cast<int>(scheduler.timesteps().size());
}

// The perfect model of data that is always `target`, in any of its three forms.
Values exact_model(const Scheduler& scheduler, int call, const Values& sample, float target,
                   PredictionType type) {
    const auto [gain, sigma] = seen_level(scheduler, call);
    const double alpha = 1 / std::sqrt(1 + sigma * sigma);
    Values output;
    for (const float value : sample) {
        const double noise = (value / gain - target) / sigma;
        if (type == PredictionType::kSample) output.push_back(target);
        if (type == PredictionType::kEpsilon) output.push_back(static_cast<float>(noise));
        if (type == PredictionType::kVPrediction)
            output.push_back(static_cast<float>(alpha * (noise - sigma * target)));
    }
    return output;
}

Values run_exact(Scheduler& scheduler, Values sample, int from, NoiseSource& noise,
                 PredictionType type = PredictionType::kEpsilon) {
    for (int call = from; call < calls(scheduler); ++call)
        sample = scheduler.step(exact_model(scheduler, call, sample, 0.5f, type), call, sample, noise);
    return sample;
}

// A model that is nothing special.
Values run_curved(Scheduler& scheduler, Values sample, int from, int to, NoiseSource& noise) {
    for (int call = from; call < to; ++call) {
        auto output = scheduler.scale_model_input(sample, call);
        const float t = scheduler.timesteps()[static_cast<std::size_t>(call)];
        for (float& value : output) value = 0.6f * std::sin(1.3f * value + t / 500) + 0.1f * value;
        sample = scheduler.step(output, call, sample, noise);
    }
    return sample;
}

// Six deviations of what noise is left where a method does not end at 0.
double tolerance(const Scheduler& scheduler) {
    return 5e-4 + 6 * final_level(scheduler).sigma;
}

class EveryScheduler : public testing::TestWithParam<SchedulerType> {
  protected:
    std::unique_ptr<Scheduler> make(const SchedulerConfig& config = sdxl_config()) const {
        return make_scheduler(GetParam(), config);
    }
    std::unique_ptr<Scheduler> ready(int steps) const {
        auto scheduler = make();
        scheduler->set_timesteps(steps);
        return scheduler;
    }
};

TEST_P(EveryScheduler, APerfectModelGivesTheData) {
    for (const auto schedule : kSigmaSchedules)
        for (const int steps : {1, 2, 3, 7, 30}) {
            SCOPED_TRACE(std::string(sigma_schedule_name(schedule)) + " " + std::to_string(steps));
            auto config = sdxl_config();
            config.sigma_schedule = schedule;
            const auto scheduler = make(config);
            scheduler->set_timesteps(steps);
            ASSERT_EQ(scheduler->sigmas().size(), scheduler->timesteps().size() + 1);
            const auto noise = make_noise_source(RngKind::kCpu, 1);
            auto sample = noise->normal(16);
            for (float& value : sample) value *= scheduler->init_noise_sigma();
            double allowed = tolerance(*scheduler);
            // LCM takes a sample near timestep 0, where ramps end, for the answer.
            if (GetParam() == SchedulerType::kLcm && scheduler->timesteps().back() < 10)
                allowed += 6 * 0.0292;
            for (const float value : run_exact(*scheduler, sample, 0, *noise))
                ASSERT_NEAR(value, 0.5f, allowed);
        }
}

TEST_P(EveryScheduler, PredictionTypesAgree) {
    Values results[3];
    const PredictionType types[] = {PredictionType::kEpsilon, PredictionType::kVPrediction,
                                    PredictionType::kSample};
    for (int k = 0; k < 3; ++k) {
        auto config = sdxl_config();
        config.prediction_type = types[k];
        const auto scheduler = make(config);
        scheduler->set_timesteps(6);
        FixedNoise noise;
        auto sample = noise.normal(16);
        // Not to the end: that is the data whatever the way.
        for (int call = 0; call < 3; ++call)
            sample =
                scheduler->step(exact_model(*scheduler, call, sample, 0.5f, types[k]), call, sample, noise);
        results[k] = sample;
    }
    for (std::size_t i = 0; i < 16; ++i) {
        // PLMS extrapolates what the model says, and v is curved where noise is constant.
        const double v_tolerance = GetParam() == SchedulerType::kPndm ? 0.05 : 2e-5;
        EXPECT_NEAR(results[0][i], results[1][i], v_tolerance);
        EXPECT_NEAR(results[0][i], results[2][i], 2e-5);
    }
}

TEST_P(EveryScheduler, AClonePicksUpAnywhere) {
    const auto whole = ready(6);
    const auto noise = make_noise_source(RngKind::kCpu, 2);
    auto sample = noise->normal(16);
    for (int call = 0; call < calls(*whole); ++call) {
        const auto one = whole->clone();
        const auto two = whole->clone();
        const auto first = run_curved(*one, sample, call, calls(*one), *make_noise_source(RngKind::kCpu, 3));
        const auto second = run_curved(*two, sample, call, calls(*two), *make_noise_source(RngKind::kCpu, 3));
        EXPECT_EQ(first, second) << "at call " << call;
        EXPECT_EQ(two->timesteps(), whole->timesteps());
        sample = run_curved(*whole, sample, call, call + 1, *noise);
    }
}

// The other half: the clones before did not share anything with the original.
TEST_P(EveryScheduler, AClonesStepsDoNotShowInTheOriginal) {
    const auto used = ready(6);
    const auto fresh = ready(6);
    const Values start(16, 0.25f);
    FixedNoise one;
    FixedNoise two;
    const auto middle = run_curved(*used, start, 0, 3, one);
    const auto copy = used->clone();
    FixedNoise other;
    run_curved(*copy, Values(16, -3.0f), 3, calls(*copy), other);
    EXPECT_EQ(run_curved(*used, middle, 3, calls(*used), one),
              run_curved(*fresh, start, 0, calls(*fresh), two));
}

TEST_P(EveryScheduler, SetTimestepsForgetsTheLastRun) {
    const auto used = ready(5);
    const auto fresh = ready(8);
    const Values start(16, 0.25f);
    FixedNoise before;
    run_curved(*used, start, 0, 4, before);
    used->set_timesteps(8);
    FixedNoise one;
    FixedNoise two;
    EXPECT_EQ(run_curved(*used, start, 0, calls(*used), one),
              run_curved(*fresh, start, 0, calls(*fresh), two));
}

TEST_P(EveryScheduler, MayStartAtAnyStep) {
    for (int step = 0; step < 10; ++step) {
        const auto scheduler = ready(10);
        const int first = scheduler->first_call(step);
        ASSERT_LT(first, calls(*scheduler));
        const auto noise = make_noise_source(RngKind::kCpu, 4);
        const auto sample = scheduler->add_noise(Values(16, 0.5f), noise->normal(16), first);
        for (const float value : run_exact(*scheduler, sample, first, *noise))
            ASSERT_NEAR(value, 0.5f, tolerance(*scheduler)) << "from step " << step;
    }
}

TEST_P(EveryScheduler, AddsNoiseOfTheLevelOfTheCall) {
    const auto scheduler = ready(7);
    for (int call = 0; call < calls(*scheduler); ++call) {
        const double sigma = scheduler->sigmas()[static_cast<std::size_t>(call)];
        const double gain = seen_level(*scheduler, call).gain;
        const auto noisy = scheduler->add_noise(Values{1, 0, 2}, Values{0, 1, 3}, call);
        EXPECT_NEAR(noisy[0], gain, 1e-6 * (1 + sigma));
        EXPECT_NEAR(noisy[1], gain * sigma, 1e-6 * (1 + sigma));
        EXPECT_NEAR(noisy[2], gain * (2 + 3 * sigma), 1e-5 * (1 + sigma));
    }
}

TEST_P(EveryScheduler, VisitsTimestepsOfOnesOwn) {
    const auto scheduler = make();
    scheduler->set_timesteps({.timesteps = {900, 610, 400, 123, 7}});
    for (int step = 0; step < 5; ++step) {
        const double expected = std::vector<double>{900, 610, 400, 123, 7}[static_cast<std::size_t>(step)];
        EXPECT_EQ(scheduler->timesteps()[static_cast<std::size_t>(scheduler->first_call(step))], expected);
    }
    const auto noise = make_noise_source(RngKind::kCpu, 1);
    const auto sample = scheduler->add_noise(Values(16, 0.5f), noise->normal(16), 0);
    for (const float value : run_exact(*scheduler, sample, 0, *noise))
        EXPECT_NEAR(value, 0.5f, tolerance(*scheduler));
}

TEST_P(EveryScheduler, VisitsSigmasOfOnesOwnOrSaysWhyNot) {
    const auto scheduler = make();
    const StepPlan plan{.sigmas = {12, 5, 2.5, 0.7, 0.1, 0}};
    try {
        scheduler->set_timesteps(plan);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
        EXPECT_NE(std::string(failure.what()).find("give timesteps"), std::string::npos);
        return;
    }
    for (int step = 0; step < 5; ++step)
        EXPECT_EQ(scheduler->sigmas()[static_cast<std::size_t>(scheduler->first_call(step))],
                  static_cast<float>(plan.sigmas[static_cast<std::size_t>(step)]));
    const auto noise = make_noise_source(RngKind::kCpu, 1);
    const auto sample = scheduler->add_noise(Values(16, 0.5f), noise->normal(16), 0);
    for (const float value : run_exact(*scheduler, sample, 0, *noise))
        EXPECT_NEAR(value, 0.5f, tolerance(*scheduler));
}

TEST_P(EveryScheduler, RefusesImpossibleStepCounts) {
    const auto scheduler = make();
    for (const int steps : {-5, 0, 5000}) {
        try {
            scheduler->set_timesteps(steps);
            FAIL() << steps;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
        }
    }
}

TEST_P(EveryScheduler, HonoursAZeroTerminalSnrOrRefusesIt) {
    auto config = sdxl_config();
    config.rescale_betas_zero_snr = true;
    config.prediction_type = PredictionType::kVPrediction;
    config.timestep_spacing = TimestepSpacing::kTrailing;
    std::unique_ptr<Scheduler> scheduler;
    try {
        scheduler = make(config);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kUnsupported);
        EXPECT_EQ(GetParam(), SchedulerType::kPndm);
        return;
    }
    scheduler->set_timesteps(8);
    EXPECT_GT(scheduler->sigmas().front(), 1000);
    FixedNoise noise;
    auto sample = noise.normal(16);
    for (float& value : sample) value *= scheduler->init_noise_sigma();
    for (const float value : run_curved(*scheduler, sample, 0, calls(*scheduler), noise)) {
        EXPECT_TRUE(std::isfinite(value));
        EXPECT_LT(std::abs(value), 10);
    }
}

std::string test_name(const testing::TestParamInfo<SchedulerType>& type) {
    std::string name;
    for (const char c : scheduler_title(type.param))
        if (std::isalnum(static_cast<unsigned char>(c))) name += c;
    // DPM2 and DPM++ 2M; DPM2 a and DPM++ ...
    if (scheduler_title(type.param).find("++") != std::string_view::npos) name += "PlusPlus";
    return name;
}

INSTANTIATE_TEST_SUITE_P(Schedulers, EveryScheduler, testing::ValuesIn(all_schedulers()), test_name);

TEST(TrainedTimesteps, ZeroTerminalSnrNeedsAnotherPredictionThanEpsilon) {
    auto config = sdxl_config();
    config.rescale_betas_zero_snr = true;
    for (const auto type :
         {SchedulerType::kDdim, SchedulerType::kDdpm, SchedulerType::kLcm, SchedulerType::kTcd})
        EXPECT_THROW(make_scheduler(type, config), Failure);
}

TEST(TrainedTimesteps, FractionsAreRefused) {
    const auto scheduler = make_scheduler(SchedulerType::kDdim, sdxl_config());
    EXPECT_THROW(scheduler->set_timesteps({.timesteps = {900, 10.5}}), Failure);
}

TEST(TrainedTimesteps, ClippedSamplesStayInRange) {
    auto config = sdxl_config();
    config.clip_sample = true;
    config.clip_sample_range = 0.25;
    for (const auto type : {SchedulerType::kDdim, SchedulerType::kDdpm}) {
        const auto scheduler = make_scheduler(type, config);
        scheduler->set_timesteps(4);
        FixedNoise noise;
        for (const float value : run_exact(*scheduler, noise.normal(16), 0, noise))
            EXPECT_NEAR(value, 0.25f, 1e-5) << scheduler_title(type);
    }
}

TEST(Distilled, TakesAtMostTheStepsThatItWasDistilledOn) {
    auto config = sdxl_config();
    for (const auto type : {SchedulerType::kLcm, SchedulerType::kTcd}) {
        config.original_inference_steps = 20;
        const auto scheduler = make_scheduler(type, config);
        scheduler->set_timesteps(20);
        EXPECT_EQ(scheduler->timesteps()[1], 949);
        try {
            scheduler->set_timesteps(21);
            FAIL();
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
            EXPECT_NE(std::string(failure.what()).find("20"), std::string::npos);
        }
    }
}

TEST(Pndm, RefusesWhatIsNotBuilt) {
    auto config = sdxl_config();
    config.skip_prk_steps = false;
    EXPECT_THROW(make_scheduler(SchedulerType::kPndm, config), Failure);
}

TEST(Ddpm, TheLargeVarianceAddsMoreNoise) {
    Values results[2];
    for (int k = 0; k < 2; ++k) {
        auto config = sdxl_config();
        config.variance_type = k ? VarianceType::kFixedLarge : VarianceType::kFixedSmall;
        const auto scheduler = make_scheduler(SchedulerType::kDdpm, config);
        scheduler->set_timesteps(10);
        FixedNoise noise;
        results[k] = scheduler->step(Values(4), 0, Values(4), noise);
    }
    // The ratio is sqrt((1 - a_t) / (1 - a_prev)).
    const auto scheduler = make_scheduler(SchedulerType::kDdpm, sdxl_config());
    scheduler->set_timesteps(10);
    const auto s = [&](std::size_t i) {
        const double square = scheduler->sigmas()[i] * scheduler->sigmas()[i];
        return std::sqrt(square / (1 + square));
    };
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(results[1][i] / results[0][i], s(0) / s(1), 1e-5);
}

TEST(TwoCalls, CannotBeStartedInTheMiddleOfAStep) {
    for (const auto type : {SchedulerType::kHeun, SchedulerType::kDpm2, SchedulerType::kDpm2Ancestral,
                            SchedulerType::kDpmSolverSde}) {
        const auto scheduler = make_scheduler(type, sdxl_config());
        scheduler->set_timesteps(4);
        FixedNoise noise;
        EXPECT_THROW(scheduler->step(Values(4), 1, Values(4), noise), Failure);
    }
}

TEST(Registry, NamedVariantsAreConfigurationsOfDpmSolver) {
    struct Variant {
        SchedulerType type;
        int order;
        DpmAlgorithm algorithm;
        DpmSolverType solver;
    };
    const Variant variants[] = {
        {SchedulerType::kDpmPlusPlus2MSde, 2, DpmAlgorithm::kSdeDpmSolverPlusPlus, DpmSolverType::kMidpoint},
        {SchedulerType::kDpmPlusPlus2MSdeHeun, 2, DpmAlgorithm::kSdeDpmSolverPlusPlus, DpmSolverType::kHeun},
        {SchedulerType::kDpmPlusPlus3M, 3, DpmAlgorithm::kDpmSolverPlusPlus, DpmSolverType::kMidpoint},
        {SchedulerType::kDpmPlusPlus3MSde, 3, DpmAlgorithm::kSdeDpmSolverPlusPlus, DpmSolverType::kHeun},
    };
    for (const auto& variant : variants) {
        auto config = sdxl_config();
        const auto named = make_scheduler(variant.type, config);
        config.solver_order = variant.order;
        config.algorithm_type = variant.algorithm;
        config.solver_type = variant.solver;
        const auto configured = make_scheduler(SchedulerType::kDpmSolverMultistep, config);
        named->set_timesteps(6);
        configured->set_timesteps(6);
        FixedNoise one;
        FixedNoise two;
        EXPECT_EQ(run_curved(*named, Values(8, 0.3f), 0, 6, one),
                  run_curved(*configured, Values(8, 0.3f), 0, 6, two));
    }
}

TEST(Registry, SpacingFallsBackToTheSchedulersOwn) {
    auto config = sdxl_config();
    config.timestep_spacing.reset();
    const auto ddim = make_scheduler(SchedulerType::kDdim, config);
    const auto euler = make_scheduler(SchedulerType::kEuler, config);
    ddim->set_timesteps(4);
    euler->set_timesteps(4);
    EXPECT_EQ(ddim->timesteps(), (Values{751, 501, 251, 1}));
    EXPECT_EQ(euler->timesteps(), (Values{999, 666, 333, 0}));
    EXPECT_EQ(default_spacing(SchedulerType::kDdim), TimestepSpacing::kLeading);
    EXPECT_EQ(default_spacing(SchedulerType::kEuler), TimestepSpacing::kLinspace);
}

// All members of the DPM-Solver family solve the same equation.
TEST(DpmSolver, EveryVariantGivesTheDataOfAPerfectModel) {
    for (const auto algorithm : {DpmAlgorithm::kDpmSolver, DpmAlgorithm::kDpmSolverPlusPlus,
                                 DpmAlgorithm::kSdeDpmSolver, DpmAlgorithm::kSdeDpmSolverPlusPlus})
        for (const auto solver : {DpmSolverType::kMidpoint, DpmSolverType::kHeun})
            for (const int order : {1, 2, 3})
                for (const auto type :
                     {SchedulerType::kDpmSolverMultistep, SchedulerType::kDpmSolverSinglestep}) {
                    const bool sde = algorithm == DpmAlgorithm::kSdeDpmSolver ||
                                     algorithm == DpmAlgorithm::kSdeDpmSolverPlusPlus;
                    if (sde && (type == SchedulerType::kDpmSolverSinglestep ||
                                (order == 3 && algorithm == DpmAlgorithm::kSdeDpmSolver)))
                        continue;
                    auto config = sdxl_config();
                    config.algorithm_type = algorithm;
                    config.solver_type = solver;
                    config.solver_order = order;
                    config.final_sigmas_type = FinalSigmasType::kSigmaMin;
                    config.use_karras_sigmas = true;
                    const auto scheduler = make_scheduler(type, config);
                    scheduler->set_timesteps(20);
                    const auto noise = make_noise_source(RngKind::kCpu, 1);
                    // What is left is noise of the final sigma, 0.029; sde-dpmsolver is only first-order
                    // accurate in it.
                    for (const float value : run_exact(*scheduler, noise->normal(16), 0, *noise))
                        EXPECT_NEAR(value, 0.5f, 0.2f);
                }
}

TEST(DpmSolver, RefusesWhatTheMethodDoesNotHave) {
    auto config = sdxl_config();
    config.algorithm_type = DpmAlgorithm::kDpmSolver;
    EXPECT_THROW(make_scheduler(SchedulerType::kDpmSolverMultistep, config), Failure);
    EXPECT_THROW(make_scheduler(SchedulerType::kDpmSolverSinglestep, config), Failure);
    config.algorithm_type = DpmAlgorithm::kSdeDpmSolver;
    config.final_sigmas_type = FinalSigmasType::kSigmaMin;
    config.solver_order = 3;
    EXPECT_THROW(make_scheduler(SchedulerType::kDpmSolverMultistep, config), Failure);
    EXPECT_THROW(make_scheduler(SchedulerType::kDpmSolverSinglestep, config), Failure);
}

}  // namespace
}  // namespace sdxl
