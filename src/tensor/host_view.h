// A tensor's bytes as a weight file holds them: not owned, not necessarily aligned, any element type.
//
// The bytes belong to the mapped file (weights/), which outlives every view of it. Row-major, contiguous.
#pragma once

#include <cstddef>
#include <string>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace sdxl {

struct HostView {
    const std::byte* data = nullptr;
    DType dtype = DType::kF32;
    Shape shape;
    std::string name;  // for messages: the tensor's name in its file

    std::size_t bytes() const { return static_cast<std::size_t>(shape.numel()) * dtype_size(dtype); }
};

}  // namespace sdxl
