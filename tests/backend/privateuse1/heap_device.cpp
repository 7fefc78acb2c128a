// An out-of-tree device for libtorch, as a vendor's library would bring one: it registers itself under
// PyTorch's device type PrivateUse1 as it is loaded.
//
// Its memory is the heap's, counted and limited, so that tests see what a device is asked for. It allocates,
// copies and makes views itself; everything else goes through libtorch's boxed fallback, which copies to the
// CPU, computes there and copies back. There are two; each has 1 GiB, or SDXL_HEAP_DEVICE_BYTES.
#include "heap_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>

namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 5)
using std::optional;
#else
using c10::optional;
#endif

constexpr auto kType = c10::DeviceType::PrivateUse1;
constexpr int kDevices = 2;
constexpr std::align_val_t kAlignment{64};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// --- memory

struct Memory {
    std::mutex mutex;
    std::uint64_t limit = number_from("SDXL_HEAP_DEVICE_BYTES", std::uint64_t{1} << 30);
    HeapDeviceCounts counts{};
};

Memory& memory_of(int index) {
    static std::array<Memory, kDevices> memories;
    return memories.at(static_cast<std::size_t>(index));
}

struct Block {
    void* data;
    std::uint64_t bytes;
    int device;
};

void release(void* context) {
    auto* block = static_cast<Block*>(context);
    Memory& memory = memory_of(block->device);
    {
        const std::lock_guard lock(memory.mutex);
        memory.counts.bytes -= block->bytes;
    }
    ::operator delete(block->data, kAlignment);
    delete block;
}

thread_local c10::DeviceIndex current_device = 0;

at::DataPtr allocate_on(int index, std::uint64_t bytes) {
    const c10::Device device(kType, static_cast<c10::DeviceIndex>(index));
    if (bytes == 0) return {nullptr, device};
    Memory& memory = memory_of(index);
    const std::lock_guard lock(memory.mutex);
    if (bytes > memory.limit - std::min(memory.limit, memory.counts.bytes)) {
        C10_THROW_ERROR(OutOfMemoryError, "heap device out of memory: tried to allocate " +
                                              std::to_string(bytes) + " bytes, has " +
                                              std::to_string(memory.counts.bytes) + " of " +
                                              std::to_string(memory.limit) + " in use");
    }
    auto* block = new Block{::operator new(bytes, kAlignment), bytes, index};
    ++memory.counts.allocations;
    memory.counts.bytes += bytes;
    memory.counts.peak_bytes = std::max(memory.counts.peak_bytes, memory.counts.bytes);
    return {block->data, block, &release, device};
}

class HeapAllocator final : public at::Allocator {
  public:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
    at::DataPtr allocate(std::size_t bytes) override {
        return allocate_on(current_device, bytes);
    }
    void copy_data(void* to, const void* from, std::size_t bytes) const override {
        std::memcpy(to, from, bytes);
    }
#else
    at::DataPtr allocate(std::size_t bytes) const override {
        return allocate_on(current_device, bytes);
    }
#endif
};

HeapAllocator& allocator() {
    static HeapAllocator heap;
    return heap;
}

// --- which device, and its one stream

class HeapGuard final : public c10::impl::DeviceGuardImplInterface {
  public:
    c10::DeviceType type() const override { return kType; }
    c10::Device exchangeDevice(c10::Device device) const override {
        const c10::Device before = getDevice();
        current_device = device.index();
        return before;
    }
    c10::Device getDevice() const override { return {kType, current_device}; }
    void setDevice(c10::Device device) const override { current_device = device.index(); }
    void uncheckedSetDevice(c10::Device device) const noexcept override { current_device = device.index(); }
    c10::Stream getStream(c10::Device device) const noexcept override {
        return c10::Stream(c10::Stream::DEFAULT, device);
    }
    c10::Stream exchangeStream(c10::Stream stream) const noexcept override {
        return c10::Stream(c10::Stream::DEFAULT, stream.device());
    }
    c10::DeviceIndex deviceCount() const noexcept override { return kDevices; }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, HeapGuard);

// --- ops

const c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

at::Tensor empty_memory_format(at::IntArrayRef size, optional<at::ScalarType> type,
                               optional<at::Layout> /*layout*/, optional<at::Device> device,
                               optional<bool> /*pin_memory*/, optional<at::MemoryFormat> format) {
    const c10::OptionalDeviceGuard guard(device);
    return at::detail::empty_generic(size, &allocator(), kKeys, c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, optional<at::ScalarType> type,
                         optional<at::Layout> /*layout*/, optional<at::Device> device,
                         optional<bool> /*pin_memory*/) {
    const c10::OptionalDeviceGuard guard(device);
    return at::detail::empty_strided_generic(size, stride, &allocator(), kKeys, c10::dtype_or_default(type));
}

at::Tensor as_strided(const at::Tensor& x, at::IntArrayRef size, at::IntArrayRef stride,
                      optional<std::int64_t> offset) {
    return at::native::as_strided_tensorimpl(x, size, stride, offset);
}

at::Tensor view(const at::Tensor& x, at::IntArrayRef size) {
    return at::native::view(x, size);
}

at::Tensor reshape_alias(const at::Tensor& x, at::IntArrayRef size, at::IntArrayRef stride) {
    return at::native::_reshape_alias(x, size, stride);
}

// The same memory as a tensor of the CPU's.
at::Tensor on_host(const at::Tensor& x) {
    if (x.is_cpu()) return x;
    return at::from_blob(x.data_ptr(), x.sizes(), x.strides(), x.options().device(at::kCPU));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool /*non_blocking*/) {
    on_host(to).copy_(on_host(from));
    return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
    TORCH_CHECK(from.sizes() == to.sizes(), "heap device: results are not resized");
    return copy_from(from, to, false);
}

// Convolutions do not reach the fallback: they have an op of their own for devices like this one.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                       bool transposed, at::IntArrayRef output_padding, std::int64_t groups) {
    optional<at::Tensor> host_bias;
    if (bias.has_value() && bias->defined()) host_bias = bias->cpu();
    return at::convolution(x.cpu(), weight.cpu(), host_bias, stride, padding, dilation, transposed,
                           output_padding, groups)
        .to(x.device());
}

void compute_on_host(const c10::OperatorHandle& op, ::torch::jit::Stack* stack) {
    at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
    library.impl("empty.memory_format", &empty_memory_format);
    library.impl("empty_strided", &empty_strided);
    library.impl("as_strided", &as_strided);
    library.impl("view", &view);
    library.impl("_reshape_alias", &reshape_alias);
    library.impl("_copy_from", &copy_from);
    library.impl("_copy_from_and_resize", &copy_from_and_resize);
    library.impl("convolution_overrideable", &convolution);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
    library.fallback(::torch::CppFunction::makeFromBoxedFunction<&compute_on_host>());
}

}  // namespace

extern "C" {

void heap_device_limit(int index, std::uint64_t bytes) {
    Memory& memory = memory_of(index);
    const std::lock_guard lock(memory.mutex);
    memory.limit = bytes;
    memory.counts.peak_bytes = memory.counts.bytes;
}

HeapDeviceCounts heap_device_counts(int index) {
    Memory& memory = memory_of(index);
    const std::lock_guard lock(memory.mutex);
    return memory.counts;
}

// What the torch backend asks a device library for: docs/devices.md.
const char* sdxl_device_name(int index) {
    return index == 0 ? "Heap: first" : "Heap: second";
}

int sdxl_device_memory(int index, std::uint64_t* total, std::uint64_t* available) {
    Memory& memory = memory_of(index);
    const std::lock_guard lock(memory.mutex);
    *total = memory.limit;
    *available = memory.limit - std::min(memory.limit, memory.counts.bytes);
    return 1;
}

}  // extern "C"
