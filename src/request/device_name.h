// How requests call devices. Hosts write "gpu_0", "cuda:1", "privateuseone:0", "DirectML", "mps" or "cpu".
//
// Plain values and pure functions: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sdxl {

// The device that a request asks for.
struct DeviceChoice {
    std::string name = {};     // canonical; "" for the worker's own
    std::string pointer = {};  // where the request says so, for errors
};

// One name for each: "" (the worker's own), "cpu", "mps", or "cuda:N", "rocm:N", "xpu:N", "privateuseone:N";
// "gpu:N" is the N-th device that is not the CPU, whatever its type. Absent for what names no device.
std::optional<std::string> canonical_device(std::string_view name);

// The N of "gpu:N"; absent for other names.
std::optional<int> gpu_number(std::string_view canonical);

// For messages.
inline constexpr std::string_view kDeviceNames = "cpu, gpu_N, cuda:N, rocm:N, xpu:N, mps, privateuseone:N";

}  // namespace sdxl
