// A device that replays recorded steps: the same pictures, and what the answer says of it.
#include "engine/device_engines.h"
#include "engine_fixture.h"
#include "fake_plugin.h"
#include "recording_backend.h"

namespace sdxl {
namespace {

class RecordingTest : public EngineTest {
  protected:
    void SetUp() override {
        EngineTest::SetUp();
        start(false);
    }
    void start(bool eager) {
        engine_.reset();
        plugin_ = {};
        plugin_.make = [this] { return make_recording_backend(make_reference_backend(), counts_); };
        plugin_.add_usual();
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        config.devices.device = "cpu";
        config.eager = eager;
        engine_ = make_engines(config, fake_sources(plugin_, true));
    }
    GenerationResult on(const std::string& device, MemoryWish MemoryWishes::*wish = nullptr) {
        GenerationRequest one = request();
        one.device = {device, "/data/device"};
        one.steps = 4;
        one.keep_pixels = true;
        if (wish != nullptr) one.memory.*wish = MemoryWish::kOn;
        auto result = generate(one);
        EXPECT_TRUE(result.ok()) << result.error().message;
        return result.ok() ? std::move(*result) : GenerationResult{};
    }

    RecordingCounts counts_;
    FakePlugin plugin_;
};

TEST_F(RecordingTest, StepsAreReplayedUnlessEagerAndThePictureIsTheSame) {
    start(true);
    const auto expected = on("cuda:1");
    EXPECT_EQ(expected.replayed_steps, 0);
    EXPECT_EQ(counts_.recordings, 0);
    start(false);
    const auto first = on("cuda:1");
    EXPECT_EQ(first.images.at(0).pixels->pixels, expected.images.at(0).pixels->pixels);
    EXPECT_EQ(first.replayed_steps, first.steps - 1);
    // Plenty of memory is left: the next request replays from its first step.
    const auto second = on("cuda:1");
    EXPECT_EQ(second.images.at(0).pixels->pixels, expected.images.at(0).pixels->pixels);
    EXPECT_EQ(second.replayed_steps, second.steps);
    EXPECT_EQ(counts_.recordings, 1);
    EXPECT_EQ(counts_.refused, 0);
    run<ModelUnloadResult>(ModelUnloadRequest{});
    EXPECT_EQ(counts_.living, 0);
}

TEST_F(RecordingTest, WhereWeightsLeaveItEndsWithTheStage) {
    const auto whole = on("cuda:1");
    const auto left = on("cuda:1", &MemoryWishes::cpu_offload);
    EXPECT_EQ(left.replayed_steps, left.steps - 1);
    EXPECT_EQ(counts_.living, 0);
    const auto streamed = on("cuda:1", &MemoryWishes::sequential_cpu_offload);
    EXPECT_EQ(streamed.replayed_steps, 0);
    for (const GenerationResult* each : {&left, &streamed})
        EXPECT_EQ(each->images.at(0).pixels->pixels, whole.images.at(0).pixels->pixels);
}

TEST_F(RecordingTest, WhatFailsIsToldAndStepsGoOn) {
    counts_.fail = true;
    const auto result = on("cuda:1");
    EXPECT_EQ(result.replayed_steps, 0);
    ASSERT_EQ(result.warnings.size(), 1U);
    EXPECT_EQ(result.warnings[0],
              "steps could not be recorded, and were made op by op: nothing is recorded today");
}

}  // namespace
}  // namespace sdxl
