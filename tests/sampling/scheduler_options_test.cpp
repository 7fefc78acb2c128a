// What a request says of the scheduler's configuration: the same as in the model's file.
#include "sampling/scheduler_options.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "fixed_noise.h"
#include "sampling/scheduler_registry.h"
#include "sdxl_config.h"

namespace sdxl {
namespace {

using Options = std::vector<SchedulerOption>;

SchedulerConfig with(const Options& options) {
    SchedulerConfig config = sdxl_config();
    apply_scheduler_options(config, options);
    return config;
}

std::vector<std::string> unused(SchedulerType type, const Options& options) {
    std::vector<std::string> names;
    for (const SchedulerOption* option : unused_options(type, with(options), options))
        names.push_back(option->name);
    return names;
}

TEST(SchedulerOptions, GoOverTheModelsFieldByField) {
    const SchedulerConfig config = with({{"prediction_type", std::string("v_prediction"), ""},
                                         {"rescale_betas_zero_snr", true, ""},
                                         {"solver_order", 3.0, ""},
                                         {"beta_end", 0.02, ""},
                                         {"sigma_max", 14.0, ""}});
    EXPECT_EQ(config.prediction_type, PredictionType::kVPrediction);
    EXPECT_TRUE(config.rescale_betas_zero_snr);
    EXPECT_EQ(config.solver_order, 3);
    EXPECT_EQ(config.beta_end, 0.02);
    EXPECT_EQ(config.sigma_max, 14.0);
    EXPECT_EQ(config.beta_start, sdxl_config().beta_start) << "the rest stays";
    EXPECT_EQ(config.steps_offset, 1);
}

TEST(SchedulerOptions, AreWhatTheSchedulerDoes) {
    auto scheduler = make_scheduler(
        SchedulerType::kEuler,
        with({{"prediction_type", std::string("sample"), ""}, {"beta_schedule", std::string("linear"), ""}}));
    scheduler->set_timesteps(4);
    auto plain = make_scheduler(SchedulerType::kEuler, sdxl_config());
    plain->set_timesteps(4);
    EXPECT_NE(scheduler->sigmas(), plain->sigmas());
    // The model says the picture itself: Euler goes straight towards it.
    const float from = scheduler->sigmas()[0];
    const float to = scheduler->sigmas()[1];
    FixedNoise noise;
    const auto next = scheduler->step(std::vector<float>{0.25F}, 0, std::vector<float>{from + 0.25F}, noise);
    EXPECT_NEAR(next[0], to + 0.25F, 1e-4);
}

TEST(SchedulerOptions, AMistakeIsTheRequestsOwn) {
    for (const Options& wrong : {Options{{"solver_order", 9.0, "/data/scheduler_config/solver_order"}},
                                 Options{{"solver_order", true, "/data/scheduler_config/solver_order"}}}) {
        try {
            with(wrong);
            FAIL();
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
            EXPECT_EQ(failure.error().pointer, "/data/scheduler_config/solver_order");
        }
    }
}

TEST(SchedulerOptions, WhatASchedulerDoesNotReadIsKnown) {
    const Options options{{"solver_order", 3.0, ""},
                          {"algorithm_type", std::string("dpmsolver++"), ""},
                          {"sigma_max", 14.0, ""},
                          {"prediction_type", std::string("epsilon"), ""}};
    using Names = std::vector<std::string>;
    EXPECT_EQ(unused(SchedulerType::kEuler, options), (Names{"solver_order", "algorithm_type", "sigma_max"}));
    EXPECT_EQ(unused(SchedulerType::kDpmSolverMultistep, options), Names{"sigma_max"});
    EXPECT_EQ(unused(SchedulerType::kUniPc, options), (Names{"algorithm_type", "sigma_max"}));
    EXPECT_EQ(unused(SchedulerType::kDpmPlusPlus3M, options),
              (Names{"solver_order", "algorithm_type", "sigma_max"}));
    EXPECT_TRUE(describes_model("prediction_type"));
    EXPECT_FALSE(describes_model("solver_order"));
}

}  // namespace
}  // namespace sdxl
