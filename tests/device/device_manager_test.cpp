#include "device/device_manager.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "device/cpu_device.h"
#include "device/device_check.h"
#include "device/score.h"
#include "fake_plugin.h"

namespace sdxl {
namespace {

// What a worker with these options takes for its own, or what it says instead.
std::string own_device(FakePlugin& plugin, const DeviceOptions& options, bool there = true) {
    try {
        DeviceManager manager(options, fake_sources(plugin, there));
        return manager.open_default().info.id;
    } catch (const Failure& failure) {
        return failure.error().message;
    }
}

DeviceOptions with(const std::string& device, const std::string& gpu_id = "",
                   std::optional<std::string> visible = {}) {
    DeviceOptions options;
    options.device = device;
    options.gpu_id = gpu_id;
    options.visible = std::move(visible);
    return options;
}

const DeviceState& state_of(const std::vector<DeviceState>& devices, const std::string& id) {
    return *std::find_if(devices.begin(), devices.end(),
                         [&](const DeviceState& device) { return device.info.id == id; });
}

TEST(DeviceManager, OneIsPickedByEveryRule) {
    FakePlugin plugin;
    plugin.add_usual();
    struct Case {
        DeviceOptions options;
        const char* picked;
    };
    const Case cases[] = {
        {with(""), "cuda:1"},  // equal scores: the larger memory
        {with("auto"), "cuda:1"},
        {with("cpu"), "cpu"},
        {with("cuda"), "cuda:0"},
        {with("gpu_1"), "cuda:1"},
        {with("cuda:1", "0"), "cuda:1"},       // the option goes before GPU_ID
        {with("", "0"), "cuda:0"},             // as numbered by the machine
        {with("", "cuda:0"), "cuda:0"},        // or named
        {with("", "1", "3,1"), "cuda:1"},      // the second of those that are visible
        {with("", "3", "3,1"), "cuda:0"},      // the first
        {with("", "7", "GPU-abc"), "cuda:1"},  // the host counts otherwise: the best
    };
    for (const auto& [options, picked] : cases)
        EXPECT_EQ(own_device(plugin, options), picked) << options.device << " " << options.gpu_id;
}

TEST(DeviceManager, WhatIsNotThereIsSaidWithWhatIs) {
    FakePlugin plugin;
    plugin.add_usual();
    for (const DeviceOptions& options : {with("cuda:7"), with("mps"), with("", "7")}) {
        const std::string said = own_device(plugin, options);
        EXPECT_NE(said.find("cpu, cuda:0, cuda:1"), std::string::npos) << said;
    }
    EXPECT_NE(own_device(plugin, with("toaster")).find("privateuseone:N"), std::string::npos);
    DeviceOptions reference = with("cuda:0");
    reference.backend = "reference";
    EXPECT_NE(own_device(plugin, reference).find("runs on the CPU alone"), std::string::npos);
}

TEST(DeviceManager, ThePlainCpuNeedsNoLibrary) {
    FakePlugin plugin;
    plugin.add_usual();
    int loads = 0;
    DeviceManager manager(with("", "0", "0"), fake_sources(plugin, false, &loads));
    EXPECT_EQ(manager.open_default().info.id, "cpu");
    EXPECT_EQ(manager.refresh().size(), 1U);
    for (const char* name : {"", "cpu", "gpu:0"}) EXPECT_EQ(manager.find({name, "/d"}, "cpu").id, "cpu");
    EXPECT_NE(manager.find({"gpu:0", "/d"}, "cpu").warning, "");
    EXPECT_EQ(loads, 0);
    EXPECT_EQ(manager.find({"cuda:1", "/d"}, "cpu").id, "cuda:1");  // that was asked for by name
    EXPECT_EQ(loads, 1);
}

TEST(DeviceManager, AHostsNumberIsThatOfItsWorkersDevice) {
    FakePlugin plugin;
    plugin.add_usual();
    DeviceManager assigned(with("", "5", "5"), fake_sources(plugin, true));
    const std::string own = assigned.open_default().info.id;
    EXPECT_EQ(assigned.find({"gpu:5", ""}, own).id, own);
    DeviceManager plain(with("cpu"), fake_sources(plugin, true));
    EXPECT_EQ(plain.find({"gpu:1", ""}, "cpu").id, "cuda:1");
    EXPECT_THROW(plain.find({"gpu:2", ""}, "cpu"), Failure);
}

TEST(DeviceManager, RocmIsCalledEitherWay) {
    FakePlugin plugin;
    plugin.add("cuda:0", "rocm", "AMD Instinct", 64);
    DeviceManager manager(with("rocm:0"), fake_sources(plugin, true));
    EXPECT_EQ(manager.open_default().info.id, "cuda:0");
}

TEST(DeviceManager, TheTorchBackendBringsTheCpuToo) {
    FakePlugin plugin;
    plugin.add_usual();
    DeviceOptions options = with("cpu");
    options.backend = "torch";
    EXPECT_EQ(own_device(plugin, options), "cpu");
    EXPECT_EQ(plugin.opened, std::vector<std::string>{"cpu"});
}

TEST(DeviceManager, ALibraryBringsDirectMl) {
    FakePlugin plugin;
    DeviceOptions options = with("");
    options.device_library = "dml.so";
    DeviceManager manager(options, fake_sources(plugin, false));
    const auto opened = manager.open_default();
    EXPECT_EQ(opened.info.id, "privateuseone:0");
    EXPECT_EQ(device_label(opened.info), "DirectML: Radeon");
    EXPECT_EQ(state_of(manager.devices(), "privateuseone:0").score, 3);
    options.device_library = "other.so";
    EXPECT_NE(own_device(plugin, options).find("other.so"), std::string::npos);
}

TEST(DeviceManager, OneThatComputesWronglyIsPassedOver) {
    FakePlugin plugin;
    plugin.add_usual();
    plugin.wrong = {"cuda:1"};
    DeviceManager manager(with(""), fake_sources(plugin, true));
    EXPECT_EQ(manager.open_default().info.id, "cuda:0");
    EXPECT_NE(state_of(manager.devices(), "cuda:1").fault.find("float32"), std::string::npos);
    EXPECT_THROW(manager.open("cuda:1"), Failure);
    plugin.wrong = {"cuda:0", "cuda:1"};
    EXPECT_EQ(own_device(plugin, with("")), "cpu");
    EXPECT_NE(own_device(plugin, with("cuda:0")).find("does not work"), std::string::npos);
}

TEST(DeviceManager, OneThatNoLongerAnswersHasAFaultUntilItDoes) {
    FakePlugin plugin;
    plugin.add_usual();
    DeviceManager manager(with(""), fake_sources(plugin, true));
    manager.open_default();
    const auto all = plugin.listed;
    plugin.listed.pop_back();
    EXPECT_NE(state_of(manager.refresh(), "cuda:1").fault, "");
    EXPECT_EQ(state_of(manager.refresh(), "cuda:0").fault, "");
    plugin.listed = all;
    EXPECT_EQ(state_of(manager.refresh(), "cuda:1").fault, "");
}

TEST(FindFault, ARightBackendHasNone) {
    EXPECT_EQ(find_fault(*make_reference_backend()), "");
    WrongBackend wrong;
    EXPECT_NE(find_fault(wrong), "");
}

TEST(Score, IsTheOneHostsCompareBy) {
    DeviceInfo cpu, directml, cuda;
    cpu.type = "cpu";
    directml.type = "privateuseone";
    cuda.type = "cuda";
    const DeviceRates slow{0.4, 0.8, 0, 10}, fast{20, 160, 0, 1000};
    EXPECT_EQ(performance_score(cpu, slow, slow), 1);
    EXPECT_EQ(performance_score(directml, fast, slow), 3);
    EXPECT_EQ(performance_score(cuda, {}, slow), 4);
    EXPECT_DOUBLE_EQ(performance_score(cuda, fast, slow), 3 + 160 / 0.8);
}

TEST(InstructionSet, NamesWhatMattersInOrder) {
    EXPECT_EQ(instruction_set({"fpu", "avx512_bf16", "avx2", "amx_int8", "avx512f"}),
              "avx2 avx512f avx512_bf16 amx_int8");
    EXPECT_EQ(instruction_set({"mmx"}), "");
}

}  // namespace
}  // namespace sdxl
