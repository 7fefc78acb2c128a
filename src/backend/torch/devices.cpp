#include "backend/torch/devices.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR >= 2
#include <ATen/detail/MPSHooksInterface.h>
#endif

#include <filesystem>

#include "backend/torch/cuda.h"
#include "backend/torch/torch_backend.h"
#include "core/error.h"
#include "core/host.h"

namespace sdxl::torch {
namespace {

constexpr const char* kNameSymbol = "sdxl_device_name";
constexpr const char* kMemorySymbol = "sdxl_device_memory";

int count_of(c10::DeviceType type) {
    return c10::impl::hasDeviceGuardImpl(type) ? c10::impl::getDeviceGuardImpl(type)->deviceCount() : 0;
}

std::string instruction_set() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16")) return "avx512_bf16";
    if (__builtin_cpu_supports("avx512bw")) return "avx512";
    if (__builtin_cpu_supports("avx2")) return "avx2";
#endif
    return "";
}

std::string id_of(const c10::Device& device) {
    switch (device.type()) {
        case c10::kCPU:
            return "cpu";
        case c10::DeviceType::MPS:
            return "mps";
        case c10::DeviceType::PrivateUse1:  // whatever its library calls the type
            return "privateuseone:" + std::to_string(device.index());
        default:
            return device.str();
    }
}

void describe_cpu(DeviceInfo& info) {
    info.name = processor_name();
    info.capability = instruction_set();
    info.bfloat16 = info.capability == "avx512_bf16";
    info.unified_memory = true;
}

}  // namespace

void Devices::load_library(const std::string& path) {
    const std::string whole = std::filesystem::absolute(path).lexically_normal().string();
    if (whole == library_) return;
    if (!library_.empty()) {
        fail(ErrorCode::kUnsupported, "cannot load the device library " + path + ": " + library_ +
                                          " is loaded, and PyTorch has room for one. Start another worker");
    }
    if (!std::filesystem::exists(path)) fail(ErrorCode::kNotFound, "no device library " + path);
    void* library = ::dlopen(whole.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* why = ::dlerror();
        fail(ErrorCode::kUnsupported, "the device library " + path + " does not load into libtorch " +
                                          std::string(TORCH_VERSION) + ": " + (why != nullptr ? why : "?"));
    }
    if (count_of(c10::DeviceType::PrivateUse1) == 0) {
        fail(ErrorCode::kUnsupported, "the device library " + path +
                                          " brings no device: it registered none under PyTorch's type "
                                          "PrivateUse1 with libtorch " +
                                          TORCH_VERSION + ", or the machine has none for it");
    }
    library_ = whole;
    name_function_ = reinterpret_cast<NameFunction>(::dlsym(library, kNameSymbol));
    memory_function_ = reinterpret_cast<MemoryFunction>(::dlsym(library, kMemorySymbol));
}

std::vector<c10::Device> Devices::all() const {
    std::vector<c10::Device> devices{c10::kCPU};
    for (const auto type :
         {c10::DeviceType::CUDA, c10::DeviceType::MPS, c10::DeviceType::XPU, c10::DeviceType::PrivateUse1})
        for (int index = 0; index < count_of(type); ++index)
            devices.emplace_back(type, static_cast<c10::DeviceIndex>(index));
    return devices;
}

std::vector<DeviceInfo> Devices::list() const {
    std::vector<DeviceInfo> infos;
    for (const c10::Device& device : all()) {
        try {
            infos.push_back(describe(device));
        } catch (const c10::Error&) {
            // Its driver does not answer: not a device that can be used.
        }
    }
    return infos;
}

DeviceInfo Devices::describe(const c10::Device& device) const {
    DeviceInfo info;
    info.id = id_of(device);
    info.type = info.id.substr(0, info.id.find(':'));
    info.backend = "torch";
    info.name = info.id;
    info.memory = memory(device);
    switch (device.type()) {
        case c10::kCPU:
            describe_cpu(info);
            break;
        case c10::DeviceType::CUDA:
            if (at::detail::getCUDAHooks().hasROCM()) info.type = "rocm";
            describe_cuda(device.index(), info);
            break;
        case c10::DeviceType::MPS:
            info.name = processor_name();
            info.unified_memory = true;
            break;
        case c10::DeviceType::PrivateUse1:
            info.name = private_name(device.index());
            break;
        default:
            break;
    }
    if (device.type() != c10::kCPU && device.type() != c10::DeviceType::CUDA) {
        info.float16 = types_of(device).float16;
        info.bfloat16 = types_of(device).bfloat16;
    }
    return info;
}

const Devices::Types& Devices::types_of(const c10::Device& device) const {
    const auto [entry, is_new] = types_.try_emplace(id_of(device));
    if (is_new) {
        const auto backend = make_torch_backend(device, *this);
        entry->second = {backend->supports(DType::kF16), backend->supports(DType::kBF16)};
    }
    return entry->second;
}

std::string Devices::private_name(int index) const {
    if (name_function_ != nullptr) return name_function_(index);
    // torch_directml's library has no function for this; the hosts know its devices by this name.
    const std::string stem = std::filesystem::path(library_).stem().string();
    const bool directml = stem.find("directml") != std::string::npos;
    return (directml ? "DirectML" : stem) + ": device " + std::to_string(index);
}

std::optional<c10::Device> Devices::find(const std::string& id) const {
    for (const c10::Device& device : all())
        if (id_of(device) == id) return device;
    return std::nullopt;
}

DeviceMemory Devices::memory(const c10::Device& device) const {
    DeviceMemory memory;
    switch (device.type()) {
        case c10::kCPU:
        case c10::DeviceType::MPS: {
            const HostMemory host = host_memory();
            return {host.total_bytes, host.available_bytes};
        }
        case c10::DeviceType::CUDA:
            return cuda_memory(device.index());
        case c10::DeviceType::PrivateUse1:
            if (memory_function_ == nullptr ||
                memory_function_(device.index(), &memory.total_bytes, &memory.available_bytes) == 0)
                return {};
            return memory;
        default:
            return {};
    }
}

void release_cached_memory(const c10::Device& device) {
    if (device.is_cuda()) empty_cuda_cache();
#if TORCH_VERSION_MAJOR >= 2
    if (device.is_mps()) at::detail::getMPSHooks().emptyCache();
#endif
}

}  // namespace sdxl::torch
