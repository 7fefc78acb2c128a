// The devices that the libtorch in this process reaches, and what they say of themselves.
//
// CPU, CUDA (ROCm under its name), MPS, XPU, and those of one library loaded at run time, which registers
// itself under PyTorch's device type PrivateUse1. One thread at a time.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backend/device_info.h"

namespace sdxl::torch {

class Devices {
  public:
    // Fails with kNotFound or kUnsupported: no such file, it does not load, brings no device, or another
    // library did so before. Loaded until the process ends.
    void load_library(const std::string& path);

    std::vector<DeviceInfo> list() const;
    // Of an id that list() gives; nothing for another.
    std::optional<c10::Device> find(const std::string& id) const;
    DeviceMemory memory(const c10::Device& device) const;

    // Where a device's library has no name of its own for it, the library's.
    std::string private_name(int index) const;

  private:
    // What a device library may export beside its registration, in C.
    using NameFunction = const char* (*)(int index);
    using MemoryFunction = int (*)(int index, std::uint64_t* total, std::uint64_t* available);

    // Element types that a trial shows to work.
    struct Types {
        bool float16 = false, bfloat16 = false;
    };

    std::vector<c10::Device> all() const;
    DeviceInfo describe(const c10::Device& device) const;
    const Types& types_of(const c10::Device& device) const;

    std::string library_;  // path; empty: none
    NameFunction name_function_ = nullptr;
    MemoryFunction memory_function_ = nullptr;
    mutable std::map<std::string, Types> types_;  // by id: tried once
};

// What libtorch keeps for the next allocation goes back to the device.
void release_cached_memory(const c10::Device& device);

}  // namespace sdxl::torch
