// Weights of linear layers and convolutions in int8: quantised and packed for int8_kernels straight from the
// mapped file.
//
// One scale for each output, from the largest magnitude of its row (after what adapters do to it). Rows that
// are zero have the scale zero; a row with a value that is not finite has NaN, which the product then shows.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/onednn/int8_kernels.h"
#include "backend/onednn/memory_pool.h"
#include "backend/onednn/weight_packer.h"

namespace sdxl::onednn {

// What a product is besides its values.
struct Int8Shape {
    std::int64_t in = 0;
    std::int64_t kernel_height = 1;
    std::int64_t kernel_width = 1;
    int stride = 1;
    Padding padding = {};
    bool geglu = false;  // each panel holds 32 values and their 32 gates
};

struct Int8Weight final : PreparedWeight {
    Int8Shape shape;
    std::int64_t out = 0;    // of the result: of a GEGLU, half of the rows
    std::int64_t taps = 1;   // places of a convolution's kernel
    std::int64_t quads = 0;  // in / 4, rounded up
    std::int64_t panels = 0;
    std::shared_ptr<WeightBuffer> buffer;  // [panels, taps, quads, 64, 4]
    std::vector<float> totals;             // [panels, taps, 64], sums of the quantised values
    std::vector<float> scale;              // [panels, 64]
    std::vector<float> bias;               // [panels, 64]

    std::int64_t result_columns() const { return shape.geglu ? kPanelColumns / 2 : kPanelColumns; }
    std::int8_t* panel(std::int64_t panel, std::int64_t tap) const {
        return static_cast<std::int8_t*>(buffer->data()) +
               (panel * taps + tap) * quads * kQuad * kPanelColumns;
    }
    std::size_t bytes() const override;
    std::uint64_t digest() const override;
};

// `rows` stacked are [out, in, kernel_height * kernel_width], or [2 * out, in] for a GEGLU (values, then
// gates); `bias` has one for each row, or none. The result's memory is from `pool`; `scratch` lends what is
// needed meanwhile.
std::shared_ptr<const Int8Weight> quantize(const std::vector<RowBlock>& rows, const Int8Shape& shape,
                                           const std::vector<float>& bias, MemoryPool& pool,
                                           MemoryPool& scratch);

}  // namespace sdxl::onednn
