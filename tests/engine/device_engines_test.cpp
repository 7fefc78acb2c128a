// Requests find the engine of the device that they name.
#include "engine/device_engines.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "backend/onednn/onednn_backend.h"
#include "engine_fixture.h"
#include "fake_plugin.h"

namespace sdxl {
namespace {

class DeviceEnginesTest : public EngineTest {
  protected:
    void start(bool accelerators) {
        engine_.reset();
        plugin_.make = make_onednn_backend;
        if (accelerators) plugin_.add_usual();
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        config.devices.device = "cpu";
        engine_ = make_engines(config, fake_sources(plugin_, accelerators));
    }
    static GenerationRequest on(const std::string& device) {
        auto one = request();
        one.device = {device, "/data/device"};
        return one;
    }

    FakePlugin plugin_;
};

TEST_F(DeviceEnginesTest, ARequestRunsOnTheDeviceThatItNames) {
    start(true);
    const auto here = generate(on(""));
    const auto there = generate(on("cuda:1"));
    const auto by_number = generate(on("gpu:0"));
    ASSERT_TRUE(here.ok() && there.ok() && by_number.ok());
    EXPECT_EQ(here->device, "cpu");
    EXPECT_EQ(there->device, "cuda:1");
    EXPECT_EQ(there->device_name, "NVIDIA large");
    EXPECT_EQ(by_number->device, "cuda:0");
    EXPECT_EQ(pixels(here->images[0]), pixels(there->images[0]));
    EXPECT_EQ(plugin_.opened, (std::vector<std::string>{"cuda:1", "cuda:0"}));

    const EngineStatus status = engine_->status();
    EXPECT_EQ(status.device, "cpu");
    ASSERT_EQ(status.devices.size(), 3U);
    EXPECT_EQ(status.devices[0].id, "cpu");
    ASSERT_EQ(status.models.size(), 3U);
    EXPECT_EQ(status.models[0].device, "cpu");
    EXPECT_EQ(status.counters.pictures, 3U);

    const auto unloaded = run<ModelUnloadResult>(ModelUnloadRequest{});
    EXPECT_EQ(unloaded->models.size(), 3U);
    EXPECT_TRUE(engine_->status().models.empty());
}

TEST_F(DeviceEnginesTest, OneThatIsNotThereIsAnErrorWithThoseThatAre) {
    start(true);
    const auto result = generate(on("mps"));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(result.error().pointer, "/data/device");
    EXPECT_NE(result.error().message.find("cpu, cuda:0, cuda:1"), std::string::npos);
    EXPECT_EQ(engine_->check(on("mps"))[0].message, result.error().message);
    EXPECT_THROW(engine_->select_device({"mps", "/device"}), Failure);
}

TEST_F(DeviceEnginesTest, TheAssignedDeviceIsTheCpuWhereThereIsNoOther) {
    start(false);
    const auto result = generate(on("gpu:0"));
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->device, "cpu");
    EXPECT_NE(result->warnings[0].find("/data/device means this worker's device"), std::string::npos);
}

TEST_F(DeviceEnginesTest, AnotherDeviceCanBecomeItsOwn) {
    start(true);
    engine_->select_device({"gpu:1", ""});
    EXPECT_EQ(engine_->status().device, "cuda:1");
    EXPECT_EQ(engine_->status().devices[0].id, "cuda:1");
    EXPECT_EQ(engine_->status().memory_total_bytes, std::uint64_t{80} << 30U);
    EXPECT_EQ(generate(on(""))->device, "cuda:1");
}

TEST_F(DeviceEnginesTest, ADeviceThatFailsIsCheckedAndRefusedUntilItWorksAgain) {
    std::atomic<bool> broken = false;
    start(true);
    plugin_.make = [&broken]() -> std::unique_ptr<Backend> {
        const auto stop = [&broken] {
            if (broken) fail(ErrorCode::kInternal, "the device is lost");
            return false;
        };
        return std::make_unique<WrongBackend>(stop, make_onednn_backend());
    };
    ASSERT_TRUE(generate(on("cuda:0")).ok());
    broken = true;
    EXPECT_FALSE(generate(on("cuda:0")).ok());
    const auto load_once = [&] {
        ModelLoadRequest one{SDXL_FIXTURES "/micro"};
        one.device = {"cuda:0", ""};
        return run<ModelInfo>(one);
    };
    // Jobs of lower priority than the check come after it.
    Result<ModelInfo> refused = load_once();
    for (int i = 0; i < 100 && refused.ok(); ++i) refused = load_once();
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("the device is lost"), std::string::npos);
    EXPECT_NE(engine_->status().devices[1].fault, "");
    EXPECT_TRUE(generate(on("cpu")).ok());
    broken = false;
    for (int i = 0; i < 500 && !refused.ok(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        refused = load_once();
    }
    EXPECT_TRUE(refused.ok());
    EXPECT_TRUE(generate(on("cuda:0")).ok());
    EXPECT_EQ(engine_->status().devices[1].fault, "");
}

}  // namespace
}  // namespace sdxl
