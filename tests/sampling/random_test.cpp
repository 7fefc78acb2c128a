#include "sampling/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sdxl {
namespace {

// torch.manual_seed(0); torch.randn(5), torch.randn(20), and the latter's second call.
TEST(Random, FewAndManyValuesTakeTorchsTwoPaths) {
    const auto few = make_noise_source(RngKind::kCpu, 0)->normal(5);
    EXPECT_NEAR(few[0], 1.5409960746765137f, 1e-6);
    EXPECT_NEAR(few[4], -1.0845223665237427f, 1e-6);
    const auto source = make_noise_source(RngKind::kCpu, 0);
    const auto many = source->normal(20);
    EXPECT_NEAR(many[0], -1.1258398294448853f, 1e-6);
    EXPECT_NEAR(many[19], 0.05373690277338028f, 1e-6);
    EXPECT_NEAR(source->normal(20)[0], 0.4396958351135254f, 1e-6);
}

TEST(Random, OddCallsKeepTheSecondValueOfThePair) {
    const auto at_once = make_noise_source(RngKind::kCpu, 3)->normal(4);
    const auto source = make_noise_source(RngKind::kCpu, 3);
    const auto first = source->normal(3);
    EXPECT_EQ(source->normal(1)[0], at_once[3]);
}

TEST(Random, PhiloxCallsDifferAndPrefixesAgree) {
    const auto source = make_noise_source(RngKind::kPhilox, 42);
    const auto first = source->normal(4);
    EXPECT_NEAR(first[0], 0.1940189f, 1e-6);
    EXPECT_NEAR(source->normal(4)[0], 0.1391376f, 1e-6);
    const auto longer = make_noise_source(RngKind::kPhilox, 42)->normal(8);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), longer.begin()));
}

TEST(Random, TheWholeSeedCountsForPhiloxOnly) {
    const std::uint64_t high = std::uint64_t{1} << 40;
    EXPECT_NE(make_noise_source(RngKind::kPhilox, high)->normal(4),
              make_noise_source(RngKind::kPhilox, 0)->normal(4));
    EXPECT_EQ(make_noise_source(RngKind::kCpu, high)->normal(4),
              make_noise_source(RngKind::kCpu, 0)->normal(4));
}

TEST(Random, LooksNormal) {
    for (const RngKind kind : {RngKind::kCpu, RngKind::kPhilox}) {
        const auto values = make_noise_source(kind, 5)->normal(100003);
        double sum = 0, squares = 0;
        for (const float value : values) {
            ASSERT_TRUE(std::isfinite(value));
            sum += value;
            squares += static_cast<double>(value) * value;
        }
        EXPECT_NEAR(sum / 100003, 0, 0.02);
        EXPECT_NEAR(squares / 100003, 1, 0.02);
    }
}

TEST(Random, NoValuesAreFine) {
    for (const RngKind kind : {RngKind::kCpu, RngKind::kPhilox})
        EXPECT_TRUE(make_noise_source(kind, 0)->normal(0).empty());
}

}  // namespace
}  // namespace sdxl
