#include "sampling/timestep_grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sdxl {
namespace {

using Grid = std::vector<double>;

TEST(TimestepGrid, TheThreeSpacings) {
    GridConfig config{.spacing = TimestepSpacing::kLeading, .steps_offset = 1};
    EXPECT_EQ(timestep_grid(config, 4), (Grid{751, 501, 251, 1}));
    config.spacing = TimestepSpacing::kTrailing;
    EXPECT_EQ(timestep_grid(config, 4), (Grid{999, 749, 499, 249}));
    config.spacing = TimestepSpacing::kLinspace;
    EXPECT_EQ(timestep_grid(config, 4), (Grid{999, 666, 333, 0}));
}

TEST(TimestepGrid, OnePointMoreForDpmSolver) {
    GridConfig config{
        .spacing = TimestepSpacing::kLeading, .steps_offset = 1, .drop_last = true, .round_linspace = true};
    EXPECT_EQ(timestep_grid(config, 4), (Grid{801, 601, 401, 201}));
    config.spacing = TimestepSpacing::kLinspace;
    EXPECT_EQ(timestep_grid(config, 4), (Grid{999, 749, 500, 250}));
}

TEST(TimestepGrid, AllCountsGiveFallingTimestepsInRange) {
    for (const auto spacing :
         {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace})
        for (const bool drop_last : {false, true})
            for (int steps = 1; steps < 1000; ++steps) {
                const GridConfig config{
                    .spacing = spacing, .drop_last = drop_last, .round_linspace = drop_last};
                const auto grid = timestep_grid(config, steps);
                ASSERT_EQ(grid.size(), static_cast<std::size_t>(steps));
                ASSERT_EQ(std::adjacent_find(grid.begin(), grid.end(), std::less_equal<>()), grid.end())
                    << steps;
                ASSERT_GE(grid.back(), 0);
                ASSERT_LE(grid.front(), 999);
            }
}

TEST(TimestepGrid, TooFewOrTooManySteps) {
    for (const int steps : {-1, 0, 1001}) EXPECT_THROW(timestep_grid({}, steps), Failure);
    EXPECT_THROW(timestep_grid({.drop_last = true}, 1000), Failure);
}

TEST(TimestepGrid, AnOffsetMayNotLeaveTheSchedule) {
    GridConfig config{.spacing = TimestepSpacing::kLeading, .steps_offset = 1};
    EXPECT_EQ(timestep_grid(config, 999).front(), 999);
    EXPECT_THROW(timestep_grid(config, 1000), Failure);
}

TEST(TimestepGrid, SigmasAndTimestepsAreInverse) {
    std::vector<float> sigmas;
    for (int i = 0; i < 10; ++i) sigmas.push_back(std::exp(0.5f * static_cast<float>(i)));
    const auto logs = log_of(sigmas);
    for (const double t : {0.0, 0.25, 3.0, 8.5, 9.0})
        EXPECT_NEAR(sigma_to_timestep(std::exp(0.5 * t), logs), t, 1e-5);
    EXPECT_EQ(sigma_to_timestep(1e-20, logs), 0);
    EXPECT_EQ(sigma_to_timestep(1e20, logs), 9);
    EXPECT_EQ(interpolate(sigmas, -1), sigmas.front());
    EXPECT_EQ(interpolate(sigmas, 99), sigmas.back());
}

}  // namespace
}  // namespace sdxl
