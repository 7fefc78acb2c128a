// Which plan is made for how much memory, and what wishes change about it. That estimates are near what is
// measured at real size is `sdxl-bench memory`'s to show.
#include "pipeline/memory_plan.h"

#include "core/error.h"
#include "micro_model.h"

namespace {

using namespace sdxl;

class MemoryPlanTest : public MicroModelTest {
  protected:
    static MemoryNeeds needs() {
        MemoryNeeds needs;
        needs.width = needs.height = 64;  // so that weights count for something
        needs.pictures = 4;
        return needs;
    }
    static MemoryPlan plan(std::uint64_t limit, const MemoryWishes& wishes = {},
                           MemoryStep first = MemoryStep::kWhole) {
        return plan_memory(model(), needs(), wishes, {kBase, limit}, first);
    }
    static std::uint64_t peak(MemoryStep step) {
        MemoryWishes wishes;
        if (step == MemoryStep::kStreamAll) wishes.sequential_cpu_offload = MemoryWish::kOn;
        return plan(0, wishes, step).report.estimated_peak_bytes;
    }
    static MemoryWishes with(MemoryWish MemoryWishes::*switched, MemoryWish wish) {
        MemoryWishes wishes;
        wishes.*switched = wish;
        return wishes;
    }

    static constexpr std::uint64_t kBase = 1000;
};

TEST_F(MemoryPlanTest, TheFastestThatFits) {
    EXPECT_EQ(plan(0).step, MemoryStep::kWhole);
    EXPECT_EQ(plan(0).pictures, 4);
    EXPECT_FALSE(plan(0).tiles);
    std::uint64_t before = 0;
    for (const MemoryStep step : {MemoryStep::kStreamAll, MemoryStep::kOffload, MemoryStep::kWhole}) {
        const std::uint64_t peak = MemoryPlanTest::peak(step);
        EXPECT_GT(peak, before);
        before = peak;
        const MemoryPlan made = plan(peak);
        EXPECT_LE(made.step, step);
        EXPECT_LE(made.report.estimated_peak_bytes, peak);
        EXPECT_EQ(made.report.limit_bytes, peak);
    }
}

TEST_F(MemoryPlanTest, StreamingKeepsWhatFits) {
    const std::uint64_t offloaded = peak(MemoryStep::kOffload), streamed = peak(MemoryStep::kStreamAll);
    const MemoryPlan made = plan((offloaded + streamed) / 2);
    EXPECT_EQ(made.step, MemoryStep::kStream);
    EXPECT_GT(made.stream_budget, 0U);
    EXPECT_LE(made.report.estimated_peak_bytes, made.report.limit_bytes);
    EXPECT_EQ(made.report.unet, Residency::kStreams);
    EXPECT_EQ(made.report.vae, Residency::kLeaves);
}

TEST_F(MemoryPlanTest, StagesAreOfAllThatIsThere) {
    const MemoryPlan whole = plan(0);
    for (const StageMemory& stage : whole.report.stages)
        EXPECT_GE(stage.bytes, kBase + planned_weights(model())) << stage.stage;
    MemoryNeeds drawn = needs(), given = needs();
    given.starts_from = true;
    EXPECT_EQ(plan_memory(model(), given, {}, {}).report.stages.size(),
              plan_memory(model(), drawn, {}, {}).report.stages.size() + 1);
}

TEST_F(MemoryPlanTest, WishesForce) {
    EXPECT_EQ(plan(0, with(&MemoryWishes::cpu_offload, MemoryWish::kOn)).report.unet, Residency::kLeaves);
    EXPECT_EQ(plan(0, with(&MemoryWishes::sequential_cpu_offload, MemoryWish::kOn)).report.unet,
              Residency::kStreams);
    EXPECT_TRUE(plan(0, with(&MemoryWishes::vae_tiling, MemoryWish::kOn)).tiles);
}

TEST_F(MemoryPlanTest, OffIsWeakAndNeverIsStrong) {
    const std::uint64_t small = peak(MemoryStep::kStreamAll);
    const auto wished = [](MemoryWish wish) {
        MemoryWishes wishes;
        wishes.cpu_offload = wishes.sequential_cpu_offload = wish;
        return wishes;
    };
    EXPECT_FALSE(plan(small).against_wish);
    const MemoryPlan off = plan(small, wished(MemoryWish::kOff));
    EXPECT_EQ(off.report.unet, Residency::kStreams);
    EXPECT_TRUE(off.against_wish);
    try {
        plan(small, wished(MemoryWish::kNever));
        FAIL() << "not refused";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().code, ErrorCode::kOutOfMemory);
        const std::string& text = failure.error().message;
        for (const char* said : {"64 x 64", "denoise", "decode", "GiB", "allow cpu_offload"})
            EXPECT_NE(text.find(said), std::string::npos) << text;
    }
}

TEST_F(MemoryPlanTest, WhatCannotFitIsRefused) {
    EXPECT_THROW(plan(peak(MemoryStep::kStreamAll) - 1), Failure);
    EXPECT_THROW(
        plan(0, with(&MemoryWishes::sequential_cpu_offload, MemoryWish::kNever), MemoryStep::kStreamAll),
        Failure);
}

}  // namespace
