#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/host.h"
#include "device/device_manager.h"
#include "device/profile_cache.h"
#include "fake_plugin.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

class ProfileTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ =
            fs::temp_directory_path() /
            ("sdxl_profile_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
        file_ = folder_ / "deep" / "devices.json";
    }
    void TearDown() override { fs::remove_all(folder_); }

    void write(const std::string& text) const {
        fs::create_directories(file_.parent_path());
        std::ofstream(file_) << text;
    }

    fs::path folder_, file_;
};

const ProfileKey kKey{"cuda:0", "NVIDIA", "torch", "torch 2.0"};
const DeviceRates kRates{1.5, 3, 0, 100};

TEST_F(ProfileTest, WhatIsStoredIsFoundByTheNextAndByNobodyElse) {
    ProfileCache(file_).store({"cpu", "EPYC", "onednn", "oneDNN 2"}, {0.4, 0.8, 1.6, 20});
    ProfileCache(file_).store(kKey, kRates);
    const ProfileCache again(file_);
    EXPECT_EQ(again.find(kKey), kRates);
    EXPECT_EQ(again.find({"cpu", "EPYC", "onednn", "oneDNN 2"})->int8_tflops, 1.6);
    for (ProfileKey other : {ProfileKey{"cuda:1", "NVIDIA", "torch", "torch 2.0"},
                             ProfileKey{"cuda:0", "Radeon", "torch", "torch 2.0"},
                             ProfileKey{"cuda:0", "NVIDIA", "torch", "torch 2.1"}})
        EXPECT_FALSE(again.find(other)) << other.device << other.name << other.library;
}

TEST_F(ProfileTest, ADamagedOrForeignFileHoldsNothingAndIsReplaced) {
    const std::string one =
        R"({"device":"cuda:0","name":"NVIDIA","backend":"torch","library":"torch 2.0","sixteen_tflops":3,)"
        R"("int8_tflops":0,"bandwidth_gb_s":100,"float32_tflops":)";
    const std::string head = R"({"format":"sdxl-worker device profile 1","profiles":)";
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("[1]"), std::string(R"({"format":"x","profiles":[]})"),
          head + "3}", head + "[" + one + "-1}]}", head + "[" + one + "\"1\"}]}",
          head + R"([{"device":"cuda:0"}]})"}) {
        write(text);
        ProfileCache cache(file_);
        EXPECT_FALSE(cache.find(kKey)) << text;
        cache.store(kKey, kRates);
        EXPECT_EQ(ProfileCache(file_).find(kKey), kRates) << text;
    }
    write(head + "[" + one + "1.5}]}");  // the same, whole
    EXPECT_EQ(ProfileCache(file_).find(kKey), kRates);
}

TEST_F(ProfileTest, AFileThatCannotBeWrittenLosesNothingElse) {
    write("");
    ProfileCache cache(file_ / "below");
    cache.store(kKey, kRates);
    EXPECT_EQ(cache.find(kKey), kRates);
}

TEST_F(ProfileTest, MeasuredRatesDecideWhichDeviceIsTheBest) {
    FakePlugin plugin;
    plugin.add_usual();
    DeviceOptions options;
    options.profile_cache = file_.string();
    ProfileCache cache(file_);
    cache.store({"cpu", processor_name(), "reference", ""}, {1, 2, 0, 10});
    cache.store({"cuda:0", "NVIDIA small", "torch", "fake 1.0"}, {10, 20, 0, 10});
    cache.store({"cuda:1", "NVIDIA large", "torch", "fake 1.0"}, {10, 10, 0, 10});
    DeviceManager manager(options, fake_sources(plugin, true));
    EXPECT_EQ(manager.open_default().info.id, "cuda:0");
    const std::map<std::string, double> scores = {{"cuda:0", 13}, {"cuda:1", 8}, {"cpu", 1}};
    for (const DeviceState& device : manager.devices())
        EXPECT_DOUBLE_EQ(device.score, scores.at(device.info.id)) << device.info.id;
}

TEST(MeasureRates, AreThoseOfTheBackend) {
    const auto backend = make_reference_backend();
    const DeviceRates rates = measure_rates(*backend, {1e-3, 1 << 20});
    EXPECT_GT(rates.float32_tflops, 0);
    EXPECT_LT(rates.float32_tflops, 1);  // plain C++ on one thread
    EXPECT_EQ(rates.sixteen_tflops > 0, backend->supports(DType::kBF16) || backend->supports(DType::kF16));
    EXPECT_EQ(rates.int8_tflops > 0, backend->supports_int8(DType::kF32));
    EXPECT_GT(rates.bandwidth_gb_s, 0);
}

}  // namespace
}  // namespace sdxl
