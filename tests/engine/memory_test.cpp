// Pictures within memory: what a request wishes is done and told, the same is drawn, and where memory runs
// out a smaller plan is tried once.
#include "core/host.h"
#include "engine_fixture.h"
#ifdef SDXL_TEST_TORCH
#include "backends_under_test.h"
#include "engine/device_engines.h"
#endif

namespace sdxl {
namespace {

class MemoryTest : public EngineTest {
  protected:
    static GenerationRequest wishing(MemoryWish MemoryWishes::*wish) {
        GenerationRequest one = request();
        one.keep_pixels = true;
        if (wish != nullptr) one.memory.*wish = MemoryWish::kOn;
        return one;
    }
};

TEST_F(MemoryTest, WishesAreDoneAndTold) {
    const auto whole = generate(wishing(nullptr));
    ASSERT_TRUE(whole.ok()) << whole.error().message;
    EXPECT_EQ(whole->memory.unet, Residency::kStays);
    EXPECT_GT(whole->memory.measured_peak_bytes, 0U);
    EXPECT_GT(whole->memory.estimated_peak_bytes, 0U);
    const std::uint64_t loaded = engine_->status().models.at(0).memory_bytes;
    const auto left = generate(wishing(&MemoryWishes::cpu_offload));
    ASSERT_TRUE(left.ok());
    EXPECT_EQ(left->memory.unet, Residency::kLeaves);
    EXPECT_LT(engine_->status().models.at(0).memory_bytes, loaded / 10) << "nothing left";
    const auto streamed = generate(wishing(&MemoryWishes::sequential_cpu_offload));
    ASSERT_TRUE(streamed.ok());
    EXPECT_EQ(streamed->memory.unet, Residency::kStreams);
    for (const auto* each : {&left, &streamed}) {
        EXPECT_EQ((*each)->images[0].pixels->pixels, whole->images[0].pixels->pixels);
        EXPECT_TRUE((*each)->warnings.empty()) << (*each)->warnings[0];
    }
    const auto again = generate(wishing(nullptr));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->memory.unet, Residency::kStays);
    EXPECT_EQ(engine_->status().models.at(0).memory_bytes, loaded);
    EXPECT_EQ(engine_->status().counters.model_loads, 1U);
}

TEST_F(MemoryTest, WhatDoesNotFitTheLimitStreamsOrIsRefused) {
    const auto limited = [&](double gigabytes) {
        engine_.reset();
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        config.memory_gb = gigabytes;
        engine_ = make_engine(config);
    };
    const auto whole = generate(wishing(nullptr));
    ASSERT_TRUE(whole.ok());
    engine_.reset();
    const double base = static_cast<double>(process_memory().resident_bytes) / 1e9;
    limited(base + 0.025);
    GenerationRequest asked = wishing(nullptr);
    asked.precision = Precision::kF32;
    const auto streamed = generate(asked);
    ASSERT_TRUE(streamed.ok()) << streamed.error().message;
    EXPECT_NE(streamed->memory.unet, Residency::kStays);
    ASSERT_EQ(streamed->warnings.size(), 1U);
    EXPECT_NE(streamed->warnings[0].find("memory does not hold all of it"), std::string::npos);
    limited(base / 2);
    const auto refused = generate(asked);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
    EXPECT_NE(refused.error().message.find("GiB"), std::string::npos) << refused.error().message;
}

#ifdef SDXL_TEST_TORCH
class DeviceMemoryTest : public MemoryTest {
  protected:
    void SetUp() override {
        MemoryTest::SetUp();
        engine_.reset();
        const auto known = make_heap_device_backend();  // loads the library
        limit_heap_device(kLarge);
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        config.devices.device = "privateuseone:0";
        config.devices.device_library = SDXL_TEST_DEVICE_LIBRARY;
        engine_ = make_engine(config);
    }
    void TearDown() override {
        limit_heap_device(kLarge);
        MemoryTest::TearDown();
    }
    static constexpr std::uint64_t kLarge = std::uint64_t{16} << 30;
};

// As hosts know DirectML: with less than 8 GB the weights pass through it one by one.
TEST_F(DeviceMemoryTest, ASmallDeviceStreams) {
    const auto large = generate(wishing(nullptr));
    ASSERT_TRUE(large.ok()) << large.error().message;
    EXPECT_EQ(large->device, "privateuseone:0");
    EXPECT_EQ(large->memory.unet, Residency::kStays);
    limit_heap_device(std::uint64_t{4} << 30);
    const auto small = generate(wishing(nullptr));
    ASSERT_TRUE(small.ok()) << small.error().message;
    EXPECT_EQ(small->memory.unet, Residency::kStreams);
    EXPECT_EQ(small->images[0].pixels->pixels, large->images[0].pixels->pixels);
}

TEST_F(DeviceMemoryTest, WhereItRunsOutASmallerPlanIsTried) {
    const auto whole = generate(wishing(nullptr));
    ASSERT_TRUE(whole.ok()) << whole.error().message;
    limit_heap_device(kLarge);
    // Taken away while it works.
    bool taken = false;
    const auto result = generate(wishing(nullptr), std::make_shared<CancelToken>(), [&](const auto& event) {
        if (event.stage != Stage::kDenoise || taken) return;
        taken = true;
        limit_heap_device(heap_device_memory().bytes + 100'000);
    });
    ASSERT_TRUE(result.ok()) << result.error().message;
    ASSERT_FALSE(result->warnings.empty());
    EXPECT_NE(result->warnings.back().find("memory ran out"), std::string::npos) << result->warnings.back();
    EXPECT_EQ(result->images[0].pixels->pixels, whole->images[0].pixels->pixels);
    // And then there is nothing left to take.
    const auto failed = generate(wishing(nullptr), std::make_shared<CancelToken>(), [&](const auto& event) {
        if (event.stage == Stage::kDenoise) limit_heap_device(1);
    });
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::kOutOfMemory) << failed.error().message;
    limit_heap_device(kLarge);
    const auto after = generate(wishing(nullptr));
    ASSERT_TRUE(after.ok()) << after.error().message;
    EXPECT_EQ(after->images[0].pixels->pixels, whole->images[0].pixels->pixels);
}
#endif

}  // namespace
}  // namespace sdxl
