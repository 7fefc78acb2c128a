// A library of devices that are not there: the reference backend under names of the test's choice.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backend/plugin.h"
#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "device/device_sources.h"
#include "wrong_backend.h"

namespace sdxl {

class FakePlugin final : public BackendPlugin {
  public:
    std::string description() const override { return "fake 1.0"; }
    void load_device_library(const std::string& path) override {
        if (path != "dml.so") fail(ErrorCode::kNotFound, "there is no " + path);
        add("privateuseone:0", "privateuseone", "DirectML: Radeon", 4);
    }
    std::vector<DeviceInfo> devices() override { return listed; }
    std::unique_ptr<Backend> open(const std::string& id) override {
        opened.push_back(id);
        if (wrong.contains(id)) return std::make_unique<WrongBackend>();
        return make();
    }

    void add(const std::string& id, const std::string& type, const std::string& name,
             std::uint64_t gigabytes) {
        DeviceInfo info;
        info.id = id;
        info.type = type;
        info.name = name;
        info.backend = "torch";
        info.memory = {gigabytes << 30U, gigabytes << 29U};
        listed.push_back(info);
    }
    // Two of NVIDIA's and the CPU.
    void add_usual() {
        add("cpu", "cpu", "Processor", 16);
        add("cuda:0", "cuda", "NVIDIA small", 8);
        add("cuda:1", "cuda", "NVIDIA large", 80);
    }

    std::function<std::unique_ptr<Backend>()> make = make_reference_backend;
    std::vector<DeviceInfo> listed;
    std::set<std::string> wrong;      // ids of those that compute wrongly
    std::vector<std::string> opened;  // ids
};

// `loads` counts how often the library was asked for.
inline DeviceSources fake_sources(FakePlugin& plugin, bool there, int* loads = nullptr) {
    return {[there] { return there; },
            [&plugin, loads]() -> BackendPlugin& {
                if (loads != nullptr) ++*loads;
                return plugin;
            },
            [&plugin](const std::string&) { return plugin.make(); }};
}

}  // namespace sdxl
