#include "sampling/noise_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"

namespace sdxl {
namespace {

SchedulerConfig sdxl_config() {
    SchedulerConfig config;
    config.beta_start = 0.00085;
    config.beta_end = 0.012;
    config.beta_schedule = BetaSchedule::kScaledLinear;
    return config;
}

// 0.0292 and 14.6146 are the ends that every Stable Diffusion sampler quotes.
TEST(NoiseSchedule, HasTheKnownEnds) {
    const auto schedule = make_noise_schedule(sdxl_config());
    ASSERT_EQ(schedule.sigmas.size(), 1000u);
    EXPECT_NEAR(schedule.sigmas.front(), 0.029167533, 1e-8);
    EXPECT_NEAR(schedule.sigmas.back(), 14.614645, 1e-5);
    EXPECT_TRUE(std::is_sorted(schedule.sigmas.begin(), schedule.sigmas.end()));
}

TEST(NoiseSchedule, ZeroTerminalSnrEndsInNoiseAndStaysFinite) {
    auto config = sdxl_config();
    config.rescale_betas_zero_snr = true;
    const auto schedule = make_noise_schedule(config);
    EXPECT_NEAR(schedule.sigmas.front(), 0.029167533, 1e-6);
    EXPECT_NEAR(schedule.sigmas.back(), 4096, 0.01);
}

TEST(NoiseSchedule, SquaredCosineIsCapped) {
    SchedulerConfig config;
    config.beta_schedule = BetaSchedule::kSquaredCosCapV2;
    const auto schedule = make_noise_schedule(config);
    EXPECT_NEAR(schedule.alphas_cumprod.front(), 0.99995871, 1e-6);
    EXPECT_NEAR(schedule.alphas_cumprod[998] * 0.001, schedule.alphas_cumprod[999], 1e-9);
}

TEST(NoiseSchedule, RejectsBetasThatAreNone) {
    auto config = sdxl_config();
    config.beta_end = 1.5;
    EXPECT_THROW(make_noise_schedule(config), Failure);
    config = sdxl_config();
    config.trained_betas = {0.1f, 0.2f};
    EXPECT_THROW(make_noise_schedule(config), Failure);
    config.num_train_timesteps = 2;
    EXPECT_NEAR(make_noise_schedule(config).alphas_cumprod[1], 0.72, 1e-6);
}

}  // namespace
}  // namespace sdxl
