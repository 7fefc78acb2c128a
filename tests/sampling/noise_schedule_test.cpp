#include "sampling/noise_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "sdxl_config.h"

namespace sdxl {
namespace {

// 0.0292 and 14.6146 are the ends that every Stable Diffusion sampler quotes.
TEST(NoiseSchedule, HasTheKnownEnds) {
    const auto schedule = make_noise_schedule(sdxl_config());
    ASSERT_EQ(schedule.sigmas.size(), 1000u);
    EXPECT_NEAR(schedule.sigmas.front(), 0.029167533, 1e-8);
    EXPECT_NEAR(schedule.sigmas.back(), 14.614645, 1e-5);
    EXPECT_TRUE(std::is_sorted(schedule.sigmas.begin(), schedule.sigmas.end()));
}

// To the bit as torch makes them: figures of diffusers 0.27, from schedulers.json.
TEST(NoiseSchedule, IsTorchsToTheBit) {
    const auto sigmas = make_noise_schedule(sdxl_config()).sigmas;
    EXPECT_EQ(sigmas[1], 0.041314479f);
    EXPECT_EQ(sigmas[251], 0.69839859f);
    EXPECT_EQ(sigmas[666], 2.91830826f);
    EXPECT_EQ(sigmas[901], 8.39068699f);
    EXPECT_EQ(sigmas[999], 14.614645f);
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
