// How fast a device is, as hosts compare devices.
#pragma once

#include <optional>

#include "backend/device_info.h"
#include "device/measure.h"

namespace sdxl {

// 1 for the CPU, 3 for PrivateUse1 (DirectML). Others: 3 + r, where r is the best rate of products that was
// measured on the device over that of the CPU; 4 while either is not measured.
double performance_score(const DeviceInfo& device, const std::optional<DeviceRates>& own,
                         const std::optional<DeviceRates>& cpu);

}  // namespace sdxl
