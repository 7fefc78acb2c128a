// A tensor's bytes as a weight file holds them: not owned, not necessarily aligned, any element type.
//
// The bytes belong to the mapped file (weights/), which outlives every view of it. Row-major, contiguous.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace sdxl {

// Changes a tensor's rows (along its outermost extent) on their way from the file, in float32: what adapters
// do to weights. Any threads may call at once.
class RowEdit {
  public:
    virtual ~RowEdit() = default;
    // rows [count, elements of a row], the first of which is row `first`.
    virtual void apply(std::int64_t first, std::int64_t count, std::span<float> rows) const = 0;
};

struct HostView {
    const std::byte* data = nullptr;
    DType dtype = DType::kF32;
    Shape shape;
    std::string name;  // for messages: the tensor's name in its file
    // Whoever turns the bytes into values applies it; null: they are the values.
    const RowEdit* edit = nullptr;

    // To all of its values, once they are float32.
    void finish(std::span<float> values) const {
        if (edit != nullptr && shape.rank() > 0) edit->apply(0, shape[0], values);
    }
    std::size_t bytes() const { return static_cast<std::size_t>(shape.numel()) * dtype_size(dtype); }
};

}  // namespace sdxl
