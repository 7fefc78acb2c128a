// Tensor: a cheap handle to storage that a backend owns. Copying a Tensor shares the storage.
//
// Rows of the innermost extent lie `row_stride()` elements apart: equal to shape[-1] for ordinary tensors,
// larger for the column slices that attention reads out of a packed projection. Activations are channels-last
// everywhere: pictures and latents [N, H, W, C], tokens [N, L, C], so that turning one into the other costs
// nothing.
//
// Threads: a handle belongs to one thread; the storage's contents are written by the op that creates them,
// then only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace sdxl {

// Memory of one device. Released when the last Tensor over it goes.
class Storage {
  public:
    virtual ~Storage() = default;
    // Address for the device's own ops; for CPU backends an ordinary pointer.
    virtual void* data() = 0;
    virtual std::size_t bytes() const = 0;
};

class Tensor {
  public:
    Tensor() = default;
    Tensor(std::shared_ptr<Storage> storage, Shape shape, DType dtype);

    bool defined() const { return storage_ != nullptr; }
    const Shape& shape() const { return shape_; }
    std::int64_t dim(int axis) const { return shape_[axis]; }
    DType dtype() const { return dtype_; }
    std::int64_t row_stride() const { return row_stride_; }
    bool contiguous() const { return row_stride_ == shape_[-1]; }
    std::size_t bytes() const { return static_cast<std::size_t>(shape_.numel()) * dtype_size(dtype_); }

    // Same elements, other extents. REQUIRES: contiguous(), equal numel.
    Tensor reshape(Shape shape) const;
    // Columns [begin, begin + count) of the innermost extent, sharing storage.
    Tensor columns(std::int64_t begin, std::int64_t count) const;
    // Entries [begin, begin + count) of the outermost extent, sharing storage.
    Tensor slice(std::int64_t begin, std::int64_t count) const;

    // What a backend that cannot compute with addresses goes by: the storage that it made, and where in it
    // the first element lies.
    const std::shared_ptr<Storage>& storage() const { return storage_; }
    std::size_t offset_bytes() const { return offset_bytes_; }

    // First element's address as the backend's ops see it (host memory for CPU backends).
    void* raw() const { return static_cast<std::byte*>(storage_->data()) + offset_bytes_; }
    template <class T>
    T* data() const {
        return static_cast<T*>(raw());
    }

  private:
    std::shared_ptr<Storage> storage_;
    Shape shape_;
    DType dtype_ = DType::kF32;
    std::int64_t row_stride_ = 0;
    std::size_t offset_bytes_ = 0;
};

// A new tensor in host memory (64-byte aligned, not cleared): what CPU backends hand out.
Tensor make_host_tensor(Shape shape, DType dtype);

}  // namespace sdxl
