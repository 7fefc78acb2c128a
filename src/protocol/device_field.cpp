// The part of body_fields.h that knows devices. One worker has one device; this one is the CPU.
#include <algorithm>
#include <iterator>

#include "protocol/body_fields.h"
#include "protocol/json_values.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestName = 64;  // bytes, of a name that can be known
constexpr std::string_view kThisDevice[] = {"cpu", "cpu:0", "cpu0", "auto"};
// How hosts call the device that they gave a worker, whatever it is.
constexpr std::string_view kAssigned[] = {"gpu0", "0"};
constexpr std::string_view kOtherKinds[] = {"gpu", "cuda", "privateuseone", "dml",  "directml",
                                            "mps", "xpu",  "vulkan",        "rocm", "hip"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

void check_device(const Field<std::string>& device, Report& report) {
    const std::string name = device.value.size() <= kLongestName ? fold_name(device.value) : "";
    if (is_one_of(name, kThisDevice)) return;
    if (is_one_of(name, kAssigned)) {
        report.warn(device.pointer, "means this worker's device, which is the CPU");
        return;
    }
    const bool known = std::any_of(std::begin(kOtherKinds), std::end(kOtherKinds),
                                   [&](std::string_view kind) { return name.starts_with(kind); });
    Finding finding;
    finding.error = {known ? ErrorCode::kUnsupported : ErrorCode::kInvalidRequest,
                     "expected 'cpu', the only device of this worker, found " + describe(device.value) +
                         "; leave the field out",
                     device.pointer};
    finding.allowed = {"cpu"};
    report.error(std::move(finding));
}

}  // namespace sdxl
