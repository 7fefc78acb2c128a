#include "tensor/tensor.h"

#include <new>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr std::align_val_t kAlignment{64};

class HostStorage final : public Storage {
  public:
    explicit HostStorage(std::size_t bytes) : bytes_(bytes), data_(::operator new(bytes, kAlignment)) {}
    ~HostStorage() override { ::operator delete(data_, kAlignment); }
    HostStorage(const HostStorage&) = delete;
    HostStorage& operator=(const HostStorage&) = delete;

    void* data() override { return data_; }
    std::size_t bytes() const override { return bytes_; }

  private:
    std::size_t bytes_;
    void* data_;
};

}  // namespace

Tensor::Tensor(std::shared_ptr<Storage> storage, Shape shape, DType dtype)
    : storage_(std::move(storage)), shape_(std::move(shape)), dtype_(dtype) {
    row_stride_ = shape_.rank() == 0 ? 1 : shape_[-1];
}

Tensor Tensor::reshape(Shape shape) const {
    if (!contiguous() || shape.numel() != shape_.numel())
        fail(ErrorCode::kInternal, "cannot reshape " + shape_.str() + " to " + shape.str());
    Tensor result = *this;
    result.row_stride_ = shape[-1];
    result.shape_ = std::move(shape);
    return result;
}

Tensor Tensor::columns(std::int64_t begin, std::int64_t count) const {
    if (begin < 0 || count <= 0 || begin + count > shape_[-1])
        fail(ErrorCode::kInternal, "columns out of range of " + shape_.str());
    Tensor result = *this;
    auto dims = shape_.dims();
    dims.back() = count;
    result.shape_ = Shape(std::move(dims));
    result.offset_bytes_ += static_cast<std::size_t>(begin) * dtype_size(dtype_);
    return result;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t count) const {
    if (begin < 0 || count <= 0 || begin + count > shape_[0])
        fail(ErrorCode::kInternal, "slice out of range of " + shape_.str());
    Tensor result = *this;
    auto dims = shape_.dims();
    const std::int64_t rows_each = shape_.rows() / dims.front();
    dims.front() = count;
    result.shape_ = Shape(std::move(dims));
    result.offset_bytes_ += static_cast<std::size_t>(begin * rows_each * row_stride_) * dtype_size(dtype_);
    return result;
}

Tensor make_host_tensor(Shape shape, DType dtype) {
    const auto bytes = static_cast<std::size_t>(shape.numel()) * dtype_size(dtype);
    return Tensor(std::make_shared<HostStorage>(bytes), std::move(shape), dtype);
}

}  // namespace sdxl
