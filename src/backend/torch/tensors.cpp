#include "backend/torch/tensors.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <memory>
#include <string>
#include <utility>

#include "core/error.h"

namespace sdxl::torch {
namespace {

// Copies to a GPU below this are not worth a pinned buffer.
constexpr std::size_t kPinnedBytes = std::size_t{1} << 20;

class TensorStorage final : public Storage {
  public:
    explicit TensorStorage(at::Tensor values) : values_(std::move(values)) {}

    void* data() override { return values_.data_ptr(); }
    std::size_t bytes() const override { return values_.nbytes(); }
    const at::Tensor& values() const { return values_; }

  private:
    at::Tensor values_;
};

DType dtype_of(at::ScalarType type) {
    switch (type) {
        case at::kFloat:
            return DType::kF32;
        case at::kBFloat16:
            return DType::kBF16;
        case at::kHalf:
            return DType::kF16;
        default:
            fail(ErrorCode::kInternal, std::string("a result of libtorch's type ") + c10::toString(type));
    }
}

// Host memory from which the device copies best.
at::Tensor staging(at::IntArrayRef sizes, at::ScalarType type, const at::Device& device) {
    std::size_t bytes = c10::elementSize(type);
    for (const std::int64_t size : sizes) bytes *= static_cast<std::size_t>(size);
    return at::empty(
        sizes, at::TensorOptions().dtype(type).pinned_memory(device.is_cuda() && bytes >= kPinnedBytes));
}

// To the device; from pinned memory while the host goes on. libtorch keeps that memory until it was read.
at::Tensor send(const at::Tensor& host, const at::Device& device) {
    return host.to(device, host.scalar_type(), /*non_blocking=*/host.device() != device && device.is_cuda());
}

// The view's values in host memory, in the file's type where nothing edits them.
at::Tensor host_values(const HostView& view, const at::Device& device) {
    if (!is_float(view.dtype)) {
        fail(ErrorCode::kInvalidModel,
             view.name + " has element type " + std::string(dtype_name(view.dtype)) + ", not a float");
    }
    at::Tensor values = staging(view.shape.dims(), scalar_type(view.dtype), device);
    if (view.bytes() > 0) {
        // By libtorch's threads; of bytes, since what is in a file need not be aligned.
        const auto bytes = static_cast<std::int64_t>(view.bytes());
        at::from_blob(values.data_ptr(), {bytes}, at::kByte)
            .copy_(at::from_blob(const_cast<std::byte*>(view.data), {bytes}, at::kByte));
    }
    if (view.edit == nullptr) return values;
    values = values.to(at::kFloat);
    view.finish({static_cast<float*>(values.data_ptr()), static_cast<std::size_t>(values.numel())});
    return values;
}

}  // namespace

at::ScalarType scalar_type(DType dtype) {
    switch (dtype) {
        case DType::kF32:
            return at::kFloat;
        case DType::kBF16:
            return at::kBFloat16;
        case DType::kF16:
            return at::kHalf;
        case DType::kF64:
            return at::kDouble;
        default:
            fail(ErrorCode::kInternal,
                 "the torch backend computes with floats, not " + std::string(dtype_name(dtype)));
    }
}

at::Tensor to_torch(const Tensor& x) {
    const auto* storage = dynamic_cast<const TensorStorage*>(x.storage().get());
    if (storage == nullptr) fail(ErrorCode::kInternal, "a tensor of another backend, of " + x.shape().str());
    const at::Tensor& values = storage->values();
    const at::IntArrayRef sizes = x.shape().dims();
    if (x.contiguous() && x.offset_bytes() == 0 && values.sizes() == sizes) return values;
    std::vector<std::int64_t> strides(sizes.size(), 1);
    for (std::size_t i = sizes.size(); i-- > 1;)
        strides[i - 1] = i + 1 == sizes.size() ? x.row_stride() : strides[i] * sizes[i];
    return values.as_strided(
        sizes, strides,
        values.storage_offset() + static_cast<std::int64_t>(x.offset_bytes() / dtype_size(x.dtype())));
}

Tensor from_torch(const at::Tensor& values) {
    const at::Tensor rows = values.contiguous();
    return {std::make_shared<TensorStorage>(rows), Shape(rows.sizes().vec()), dtype_of(rows.scalar_type())};
}

at::Tensor upload(std::span<const float> values, const Shape& shape, at::ScalarType type,
                  const at::Device& device) {
    at::Tensor host = staging(shape.dims(), type, device);
    host.copy_(at::from_blob(const_cast<float*>(values.data()), shape.dims(), at::kFloat));
    return send(host, device);
}

at::Tensor upload(std::span<const HostView> views, at::ScalarType type, const at::Device& device) {
    std::vector<at::Tensor> parts;
    for (const HostView& view : views) {
        // What is wider than the device's type is made narrow here: less to send.
        at::Tensor host = host_values(view, device);
        if (c10::elementSize(host.scalar_type()) > c10::elementSize(type)) host = host.to(type);
        parts.push_back(send(host, device).to(type));
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts);
}

void widen(const HostView& view, std::span<float> values) {
    HostView plain = view;
    plain.edit = nullptr;
    at::from_blob(values.data(), view.shape.dims(), at::kFloat).copy_(host_values(plain, at::kCPU));
}

std::vector<float> download(const at::Tensor& x) {
    const at::Tensor host = x.to(at::kCPU).to(at::kFloat).contiguous();
    const auto* data = static_cast<const float*>(host.data_ptr());
    return {data, data + host.numel()};
}

}  // namespace sdxl::torch
