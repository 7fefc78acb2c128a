#include "backends_under_test.h"

#include <dlfcn.h>

#include "backend/onednn/onednn_backend.h"
#include "backend/plugin_loader.h"
#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "rounding.h"

namespace sdxl {
namespace {

#ifdef SDXL_TEST_TORCH
std::unique_ptr<Backend> make_torch_backend() {
    return load_backend_plugin().open("cpu");
}

template <class Function>
Function device_function(const char* name) {
    void* library = ::dlopen(SDXL_TEST_DEVICE_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
    void* address = library != nullptr ? ::dlsym(library, name) : nullptr;
    if (address == nullptr) fail(ErrorCode::kInternal, "the test's device library is not loaded");
    return reinterpret_cast<Function>(address);
}
#endif

}  // namespace

#ifdef SDXL_TEST_TORCH
std::unique_ptr<Backend> make_heap_device_backend() {
    BackendPlugin& plugin = load_backend_plugin();
    plugin.load_device_library(SDXL_TEST_DEVICE_LIBRARY);
    return plugin.open("privateuseone:0");
}

HeapDeviceCounts heap_device_memory() {
    return device_function<decltype(&heap_device_counts)>("heap_device_counts")(0);
}

void limit_heap_device(std::uint64_t bytes) {
    device_function<decltype(&heap_device_limit)>("heap_device_limit")(0, bytes);
}
#endif

namespace {

std::vector<BackendCase>& cases() {
    // bfloat16: inputs are rounded before both sides compute, so what is left is one rounding of the result
    // (2^-9) and those inside the op (attention's weights, geglu's halves).
    static std::vector<BackendCase> cases{
        {"ReferenceF32", make_reference_backend, DType::kF32, 1e-6},
        {"OnednnF32", make_onednn_backend, DType::kF32, 1e-5},
        {"OnednnBF16", make_onednn_backend, DType::kBF16, 6e-3},
#ifdef SDXL_TEST_TORCH
        {"TorchF32", make_torch_backend, DType::kF32, 1e-5},
        // Without AVX-512 libtorch multiplies by itself, and rounds on the way.
        {"TorchBF16", make_torch_backend, DType::kBF16, has_avx512() ? 6e-3 : 1.2e-2},
        {"TorchPrivateUse1F32", make_heap_device_backend, DType::kF32, 1e-5},
#endif
    };
    return cases;
}

}  // namespace

const std::vector<BackendCase>& backends_under_test() {
    return cases();
}

void test_torch_device(const std::string& id) {
    const auto make = [id] { return load_backend_plugin().open(id); };
    // float16 rounds eight times as finely as bfloat16.
    cases().push_back({"TorchDeviceF32", make, DType::kF32, 1e-5});
    cases().push_back({"TorchDeviceF16", make, DType::kF16, 1e-3});
    cases().push_back({"TorchDeviceBF16", make, DType::kBF16, 6e-3});
}

}  // namespace sdxl
