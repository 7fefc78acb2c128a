#include "sampling/step_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "core/error.h"
#include "sampling/noise_schedule.h"
#include "sdxl_config.h"

namespace sdxl {
namespace {

class StepLayoutTest : public testing::Test {
  protected:
    StepLayout lay_out(const StepPlan& plan) const {
        return lay_out_steps(config_, schedule_.sigmas, rules_, plan);
    }
    std::string error(const StepPlan& plan) const {
        try {
            lay_out(plan);
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
            return failure.what();
        }
        ADD_FAILURE() << "was accepted";
        return "";
    }
    float sigma_of(int timestep) const { return schedule_.sigmas[static_cast<std::size_t>(timestep)]; }

    SchedulerConfig config_ = sdxl_config();
    NoiseSchedule schedule_ = make_noise_schedule(config_);
    LayoutRules rules_;
};

TEST_F(StepLayoutTest, TimestepsOfOnesOwn) {
    const auto layout = lay_out({.timesteps = {999, 500, 20, 0}});
    EXPECT_EQ(layout.timesteps, (std::vector<double>{999, 500, 20, 0}));
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_EQ(layout.sigmas[i], sigma_of(static_cast<int>(layout.timesteps[i])));
}

TEST_F(StepLayoutTest, SigmasOfOnesOwn) {
    const std::vector<double> wanted = {sigma_of(800), sigma_of(400), sigma_of(3)};
    auto with_end = wanted;
    with_end.push_back(0);
    for (const auto& sigmas : {wanted, with_end}) {
        const auto layout = lay_out({.sigmas = sigmas});
        EXPECT_EQ(layout.sigmas, wanted);
        ASSERT_EQ(layout.timesteps.size(), 3u);
        EXPECT_NEAR(layout.timesteps[0], 800, 1e-4);
        EXPECT_NEAR(layout.timesteps[1], 400, 1e-4);
        EXPECT_NEAR(layout.timesteps[2], 3, 1e-4);
    }
}

TEST_F(StepLayoutTest, ListsThatCannotBeFollowedSayWhere) {
    EXPECT_NE(error({.timesteps = {999, 500, 500}}).find("timesteps[2]"), std::string::npos);
    EXPECT_NE(error({.timesteps = {1, 2}}).find("falling"), std::string::npos);
    EXPECT_NE(error({.timesteps = {1000}}).find("999"), std::string::npos);
    EXPECT_NE(error({.timesteps = {5, -1}}).find("timesteps[1]"), std::string::npos);
    EXPECT_NE(error({.sigmas = {0}}).find("noise levels"), std::string::npos);
    EXPECT_NE(error({.sigmas = {1, 0, 0}}).find("sigmas[1]"), std::string::npos);
    EXPECT_NE(error({.sigmas = {std::nan("")}}).find("sigmas[0]"), std::string::npos);
}

// t of 999 * (1 - i / n), sigmas by interpolation of their logarithms.
TEST_F(StepLayoutTest, SgmUniformLeavesOutTheEnd) {
    config_.sigma_schedule = SigmaSchedule::kSgmUniform;
    const auto layout = lay_out({.steps = 4});
    const std::vector<double> timesteps = {999, 749.25, 499.5, 249.75};
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(layout.timesteps[i], timesteps[i], 1e-9);
        const int below = static_cast<int>(timesteps[i]);
        const double weight = timesteps[i] - below;
        const double expected =
            std::pow(sigma_of(below), 1 - weight) * std::pow(sigma_of(std::min(below + 1, 999)), weight);
        EXPECT_NEAR(layout.sigmas[i] / expected, 1, 1e-6);
    }
}

TEST_F(StepLayoutTest, RampsHaveTheEndsThatAreAskedFor) {
    for (const auto schedule : {SigmaSchedule::kKarras, SigmaSchedule::kExponential, SigmaSchedule::kBeta}) {
        config_ = sdxl_config();
        config_.sigma_schedule = schedule;
        EXPECT_NEAR(lay_out({.steps = 5}).sigmas.front(), sigma_of(801), 1e-5);
        rules_.ramp_over_train = true;
        EXPECT_NEAR(lay_out({.steps = 5}).sigmas.front(), sigma_of(999), 1e-5);
        EXPECT_NEAR(lay_out({.steps = 5}).sigmas.back(), sigma_of(0), 1e-6);
        config_.sigma_max = 7;
        config_.sigma_min = 0.5;
        EXPECT_NEAR(lay_out({.steps = 5}).sigmas.front(), 7, 1e-9);
        EXPECT_NEAR(lay_out({.steps = 5}).sigmas.back(), 0.5, 1e-9);
        rules_.ramp_over_train = false;
    }
}

TEST_F(StepLayoutTest, RampsNeedTwoEnds) {
    config_.use_karras_sigmas = true;
    for (const auto& [low, high] : {std::pair(7.0, 7.0), std::pair(8.0, 7.0), std::pair(-1.0, 7.0)}) {
        config_.sigma_min = low;
        config_.sigma_max = high;
        try {
            lay_out({.steps = 5});
            ADD_FAILURE() << low << " " << high;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidModel);
        }
    }
}

TEST_F(StepLayoutTest, TheScheduleGoesBeforeTheKarrasFlag) {
    EXPECT_EQ(sigma_schedule_of(config_), SigmaSchedule::kPlain);
    config_.use_karras_sigmas = true;
    EXPECT_EQ(sigma_schedule_of(config_), SigmaSchedule::kKarras);
    config_.sigma_schedule = SigmaSchedule::kBeta;
    EXPECT_EQ(sigma_schedule_of(config_), SigmaSchedule::kBeta);
}

TEST(WholeTimesteps, AreTheNearestThatFall) {
    EXPECT_EQ(whole_timesteps(std::vector<double>{9.4, 5.5, 5.4, 0.2}), (std::vector<int>{9, 6, 5, 0}));
    EXPECT_EQ(whole_timesteps(std::vector<double>{4.0, 0.3, 0.2, 0.1}), (std::vector<int>{4, 2, 1, 0}));
    EXPECT_EQ(whole_timesteps(std::vector<double>{0.3, 0.2, 0.1}), (std::vector<int>{2, 1, 0}));
    EXPECT_EQ(whole_timesteps(std::vector<double>{9.0, 8.9, 8.8}), (std::vector<int>{9, 8, 7}));
}

}  // namespace
}  // namespace sdxl
