#include "device/score.h"

namespace sdxl {

double performance_score(const DeviceInfo& device, const std::optional<DeviceRates>& own,
                         const std::optional<DeviceRates>& cpu) {
    constexpr double kCpu = 1;
    constexpr double kDirectMl = 3;
    if (device.type == "cpu") return kCpu;
    if (device.type == "privateuseone") return kDirectMl;
    if (!own || !cpu || own->best() <= 0 || cpu->best() <= 0) return kDirectMl + 1;
    return kDirectMl + own->best() / cpu->best();
}

}  // namespace sdxl
