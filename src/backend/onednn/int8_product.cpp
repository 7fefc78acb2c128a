#include "backend/onednn/int8_product.h"

#include <algorithm>
#include <memory>

#include "backend/onednn/parallel.h"

namespace sdxl::onednn {
namespace {

// Weights that stay in a core's second-level cache while rows pass by.
constexpr std::int64_t kGroupBytes = 512 * 1024;
// Tiles of a task.
constexpr std::int64_t kTaskTiles = 32;

// How a convolution walks over its picture.
struct Walk {
    std::int64_t height = 0, width = 0;          // of x
    std::int64_t out_height = 0, out_width = 0;  // of y
    const Int8Shape& shape;
};

// Rows of activations in bytes, with their scales.
struct Quantized {
    std::int64_t stride = 0;
    std::shared_ptr<Storage> storage;
    std::vector<float> scale, offset;

    const std::uint8_t* row(std::int64_t index) const {
        return static_cast<const std::uint8_t*>(storage->data()) + index * stride;
    }
};

template <class T>
Quantized quantized(const Tensor& x, std::int64_t quads, MemoryPool& pool) {
    const std::int64_t rows = x.shape().rows(), width = x.dim(-1), stride = quads * kQuad;
    Quantized result{stride, pool.allocate(static_cast<std::size_t>(rows * stride)), {}, {}};
    result.scale.resize(static_cast<std::size_t>(rows));
    result.offset.resize(static_cast<std::size_t>(rows));
    auto* const to = static_cast<std::uint8_t*>(result.storage->data());
    parallel_ranges(rows, 8, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row)
            quantize_row(x.data<T>() + row * x.row_stride(), width, stride, to + row * stride,
                         &result.scale[static_cast<std::size_t>(row)],
                         &result.offset[static_cast<std::size_t>(row)]);
    });
    return result;
}

// Where the rows of a product's tiles come from.
class RowSource {
  public:
    RowSource(const Quantized& x, std::int64_t rows, const Walk* walk) : x_(x), rows_(rows), walk_(walk) {}

    // Rows [first, first + kTileRows) of the result, at `tap`; beyond the last row, that one again.
    TileRows at(std::int64_t first, std::int64_t tap) const {
        TileRows tile;
        for (std::int64_t i = 0; i < kTileRows; ++i) {
            const std::int64_t row = source(std::min(first + i, rows_ - 1), tap);
            const bool inside = row >= 0;
            tile.values[i] = x_.row(inside ? row : 0);
            tile.scale[i] = inside ? x_.scale[static_cast<std::size_t>(row)] : 0.F;
            tile.offset[i] = inside ? x_.offset[static_cast<std::size_t>(row)] : 0.F;
        }
        return tile;
    }

  private:
    // -1: outside of the picture, where it is zero.
    std::int64_t source(std::int64_t row, std::int64_t tap) const {
        if (walk_ == nullptr) return row;
        const std::int64_t pixels = walk_->out_height * walk_->out_width;
        const std::int64_t y = row % pixels / walk_->out_width * walk_->shape.stride +
                               tap / walk_->shape.kernel_width - walk_->shape.padding.top;
        const std::int64_t x = row % walk_->out_width * walk_->shape.stride +
                               tap % walk_->shape.kernel_width - walk_->shape.padding.left;
        if (y < 0 || y >= walk_->height || x < 0 || x >= walk_->width) return -1;
        return (row / pixels * walk_->height + y) * walk_->width + x;
    }

    const Quantized& x_;
    std::int64_t rows_;
    const Walk* walk_;
};

template <class T>
class Product {
  public:
    Product(const Int8Weight& weight, const RowSource& source, TileEnd end, const Tensor& residual,
            const Tensor& y)
        : weight_(weight),
          source_(source),
          end_(end),
          residual_(residual.defined() ? residual.data<T>() : nullptr),
          residual_stride_(residual.defined() ? residual.row_stride() : 0),
          y_(y.data<T>()),
          rows_(y.shape().rows()) {}

    void run() const {
        const std::int64_t panel_bytes = weight_.taps * weight_.quads * kQuad * kPanelColumns;
        const std::int64_t group = std::clamp<std::int64_t>(kGroupBytes / panel_bytes, 1, weight_.panels);
        const std::int64_t groups = (weight_.panels + group - 1) / group;
        const std::int64_t tiles = (rows_ + kTileRows - 1) / kTileRows;
        const std::int64_t chunks = (tiles + kTaskTiles - 1) / kTaskTiles;
        // Neighbouring tasks share weights.
        parallel_tasks(groups * chunks, [&](std::int64_t task, int) {
            const std::int64_t first_panel = task / chunks * group;
            const std::int64_t end_panel = std::min(weight_.panels, first_panel + group);
            const std::int64_t first_tile = task % chunks * kTaskTiles;
            const std::int64_t end_tile = std::min(tiles, first_tile + kTaskTiles);
            std::vector<TileRows> taps(static_cast<std::size_t>(weight_.taps));
            for (std::int64_t tile = first_tile; tile < end_tile; ++tile) {
                for (std::int64_t tap = 0; tap < weight_.taps; ++tap)
                    taps[static_cast<std::size_t>(tap)] = source_.at(tile * kTileRows, tap);
                for (std::int64_t panel = first_panel; panel < end_panel; ++panel)
                    run_tile(taps, panel, tile * kTileRows);
            }
        });
    }

  private:
    void run_tile(const std::vector<TileRows>& taps, std::int64_t panel, std::int64_t first_row) const {
        alignas(64) float sums[kTileRows * kPanelColumns];
        for (std::int64_t tap = 0; tap < weight_.taps; ++tap)
            add_tile(taps[static_cast<std::size_t>(tap)], weight_.panel(panel, tap), weight_.quads,
                     weight_.totals.data() + (panel * weight_.taps + tap) * kPanelColumns, tap == 0, sums);
        const std::int64_t column = panel * weight_.result_columns();
        const std::int64_t count = std::min(weight_.result_columns(), weight_.out - column);
        const float* const scale = weight_.scale.data() + panel * kPanelColumns;
        const float* const bias = weight_.bias.data() + panel * kPanelColumns;
        for (std::int64_t i = 0; i < std::min(kTileRows, rows_ - first_row); ++i) {
            const float* const row_sums = sums + i * kPanelColumns;
            T* const to = y_ + (first_row + i) * weight_.out + column;
            if (weight_.shape.geglu) {
                finish_geglu_row(row_sums, scale, bias, to, count);
            } else {
                const T* const more =
                    residual_ == nullptr ? nullptr : residual_ + (first_row + i) * residual_stride_ + column;
                finish_row(row_sums, scale, bias, end_, more, to, count);
            }
        }
    }

    const Int8Weight& weight_;
    const RowSource& source_;
    TileEnd end_;
    const T* residual_;
    std::int64_t residual_stride_;
    T* y_;
    std::int64_t rows_;
};

template <class T>
void run_product(const Int8Weight& weight, const Walk* walk, const Tensor& x, TileEnd end,
                 const Tensor& residual, const Tensor& y, MemoryPool& pool) {
    const Quantized rows = quantized<T>(x, weight.quads, pool);
    const RowSource source(rows, y.shape().rows(), walk);
    Product<T>(weight, source, end, residual, y).run();
}

void run(const Int8Weight& weight, const Walk* walk, const Tensor& x, TileEnd end, const Tensor& residual,
         const Tensor& y, MemoryPool& pool) {
    if (x.dtype() == DType::kBF16)
        run_product<bf16_bits>(weight, walk, x, end, residual, y, pool);
    else
        run_product<float>(weight, walk, x, end, residual, y, pool);
}

}  // namespace

void int8_linear(const Int8Weight& weight, const Tensor& x, TileEnd end, const Tensor& residual,
                 const Tensor& y, MemoryPool& pool) {
    run(weight, nullptr, x, end, residual, y, pool);
}

void int8_conv2d(const Int8Weight& weight, const Tensor& x, const Tensor& residual, const Tensor& y,
                 MemoryPool& pool) {
    const Walk walk{x.dim(1), x.dim(2), y.dim(1), y.dim(2), weight.shape};
    run(weight, &walk, x, residual.defined() ? TileEnd::kAdd : TileEnd::kNone, residual, y, pool);
}

}  // namespace sdxl::onednn
