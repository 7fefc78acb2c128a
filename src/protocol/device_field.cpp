// The part of body_fields.h that knows devices' names; which of them are there is not known here.
#include "protocol/body_fields.h"
#include "protocol/json_values.h"

namespace sdxl {

DeviceChoice read_device(const Field<std::string>& device, Report& report) {
    if (const auto name = canonical_device(device.value)) return {*name, device.pointer};
    Finding finding;
    finding.error = {ErrorCode::kInvalidRequest,
                     "expected a device (" + std::string(kDeviceNames) + "), found " +
                         describe(device.value) + "; left out it is this worker's own",
                     device.pointer};
    finding.allowed = {"cpu", "gpu_0", "cuda:0", "rocm:0", "xpu:0", "mps", "privateuseone:0"};
    report.error(std::move(finding));
    return {};
}

}  // namespace sdxl
