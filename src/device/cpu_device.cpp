#include "device/cpu_device.h"

#include <algorithm>

#include "core/host.h"

namespace sdxl {
namespace {

constexpr const char* kFlags[] = {"avx2",     "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16",
                                  "amx_int8", "asimd",   "i8mm",     "bf16",        "sve"};

bool has(const std::vector<std::string>& flags, const char* flag) {
    return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

}  // namespace

std::string instruction_set(const std::vector<std::string>& flags) {
    std::string all;
    for (const char* flag : kFlags)
        if (has(flags, flag)) all += (all.empty() ? "" : " ") + std::string(flag);
    return all;
}

DeviceInfo cpu_device(const Backend& backend) {
    const auto flags = processor_flags();
    DeviceInfo device;
    device.id = device.type = "cpu";
    device.name = processor_name();
    device.backend = backend.name();
    device.capability = instruction_set(flags);
    const HostMemory memory = host_memory();
    device.memory = {memory.total_bytes, memory.available_bytes};
    device.unified_memory = true;
    device.bfloat16 = backend.supports(DType::kBF16) &&
                      (has(flags, "avx512_bf16") || has(flags, "amx_bf16") || has(flags, "bf16"));
    device.float16 = backend.supports(DType::kF16);
    device.int8_weights = backend.supports_int8(DType::kF32) || backend.supports_int8(DType::kBF16);
    return device;
}

std::string device_label(const DeviceInfo& device) {
    return device.type == "cpu" ? "CPU: " + device.name : device.name;
}

}  // namespace sdxl
