#include "weights/owned_bytes.h"

#include <cstring>

namespace sdxl {

FileTensor transposed_copy(const FileTensor& matrix) {
    const HostView& from = matrix.view;
    const auto rows = static_cast<std::size_t>(from.shape[0]);
    const auto columns = static_cast<std::size_t>(from.shape[1]);
    const std::size_t size = dtype_size(from.dtype);
    std::vector<std::byte> copy(from.bytes());
    for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t column = 0; column < columns; ++column)
            std::memcpy(&copy[(column * rows + row) * size], from.data + (row * columns + column) * size,
                        size);
    const auto bytes = std::make_shared<const OwnedBytes>(matrix.bytes->path(), std::move(copy));
    return {{bytes->bytes().data(), from.dtype, Shape{from.shape[1], from.shape[0]}, from.name}, bytes};
}

}  // namespace sdxl
