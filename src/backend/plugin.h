// What a library that is loaded at run time brings: devices, and a backend for each of them.
//
// The library exports one function, kPluginEntry. It is built from this source tree with the same compiler
// (C++ types cross the border); kPluginAbi changes whenever a header that both sides see does, and a library
// of another one is refused before anything else of it is called. The library stays loaded until the process
// ends. Threads: one at a time. Errors: Failure; no foreign exception leaves it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/device_info.h"

namespace sdxl {

inline constexpr const char* kPluginEntry = "sdxl_backend_plugin";
inline constexpr const char* kPluginAbiEntry = "sdxl_backend_plugin_abi";
inline constexpr int kPluginAbi = 3;

class BackendPlugin {
  public:
    virtual ~BackendPlugin() = default;

    // With its version: "torch 1.13.0".
    virtual std::string description() const = 0;
    // Loads a library that brings a device type of its own (PyTorch's PrivateUse1).
    virtual void load_device_library(const std::string& path) = 0;
    // As they are now; asks the devices. Not one that cannot be used.
    virtual std::vector<DeviceInfo> devices() = 0;
    // For a device that devices() listed. Fails with kUnsupported for another.
    virtual std::unique_ptr<Backend> open(const std::string& id) = 0;
};

using PluginEntry = BackendPlugin* (*)();  // owned by the library
using PluginAbiEntry = int (*)();

}  // namespace sdxl
