// The processor as a device.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/device_info.h"

namespace sdxl {

// Those of /proc/cpuinfo's flags that matter to products of matrices, from the least to the most:
// "avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8" on x86, "asimd i8mm bf16 sve" on Arm.
std::string instruction_set(const std::vector<std::string>& flags);

// With the memory as it is now.
DeviceInfo cpu_device(const Backend& backend);

// "CPU: AMD EPYC", "NVIDIA H100", "DirectML: Radeon": as hosts are told.
std::string device_label(const DeviceInfo& device);

}  // namespace sdxl
