// Where devices other than the CPU come from. Replaced in tests.
#pragma once

#include <functional>
#include <memory>

#include "backend/backend.h"
#include "backend/plugin.h"
#include "device/device_options.h"

namespace sdxl {

struct DeviceSources {
    // Whether this machine seems to have another device than its CPU: cheap, and may be wrong both ways.
    std::function<bool()> accelerator_there;
    // The library that knows them; it stays loaded. Fails with kNotFound or kUnsupported where there is none.
    std::function<BackendPlugin&()> load_plugin;
    // The CPU's own, by name. Fails with kUnsupported for a name that is none.
    std::function<std::unique_ptr<Backend>(const std::string& backend)> make_cpu_backend;
};

// This machine's.
DeviceSources system_devices(const DeviceOptions& options);

}  // namespace sdxl
