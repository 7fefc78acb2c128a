#include "ops/layout.h"

#include "core/error.h"

namespace sdxl::ops {
namespace {

// In each of `batch` matrices [rows, columns] turns rows into columns.
std::vector<float> transpose(std::span<const float> values, std::int64_t batch, std::int64_t rows,
                             std::int64_t columns) {
    if (static_cast<std::int64_t>(values.size()) != batch * rows * columns) {
        fail(ErrorCode::kInternal,
             "layout: " + std::to_string(values.size()) + " values do not fill the picture");
    }
    std::vector<float> result(values.size());
    for (std::int64_t n = 0; n < batch; ++n) {
        const std::int64_t base = n * rows * columns;
        for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t c = 0; c < columns; ++c)
                result[base + c * rows + r] = values[base + r * columns + c];
        }
    }
    return result;
}

}  // namespace

std::vector<float> nchw_to_nhwc(std::span<const float> values, const PictureExtents& extents) {
    return transpose(values, extents.batch, extents.channels, extents.height * extents.width);
}

std::vector<float> nhwc_to_nchw(std::span<const float> values, const PictureExtents& extents) {
    return transpose(values, extents.batch, extents.height * extents.width, extents.channels);
}

}  // namespace sdxl::ops
