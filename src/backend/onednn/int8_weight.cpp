#include "backend/onednn/int8_weight.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>

#include "backend/onednn/kernels.h"
#include "backend/onednn/parallel.h"

namespace sdxl::onednn {
namespace {

// Rows [first, first + count) of the stack as float32, adapters' changes made.
void read_rows(const std::vector<RowBlock>& blocks, std::int64_t first, std::int64_t count,
               std::int64_t width, float* to) {
    for (const RowBlock& block : blocks) {
        const std::int64_t here = std::min(count, block.count - first);
        if (here <= 0) {
            first -= block.count;
            continue;
        }
        const std::int64_t row = block.first + first;
        const auto at = static_cast<std::size_t>(row * width) * dtype_size(block.view.dtype);
        convert(block.view.data + at, block.view.dtype, to, here * width);
        if (block.view.edit != nullptr)
            block.view.edit->apply(row, here, {to, static_cast<std::size_t>(here * width)});
        to += here * width;
        count -= here;
        first = 0;
        if (count == 0) return;
    }
}

// Packs panels; one for each thread, with its buffers.
class PanelPacker {
  public:
    PanelPacker(Int8Weight& weight, const std::vector<RowBlock>& rows, const std::vector<float>& bias,
                MemoryPool& scratch)
        : weight_(weight),
          rows_(rows),
          bias_(bias),
          width_(weight.shape.in * weight.taps),
          values_(
              scratch.allocate(static_cast<std::size_t>(weight.result_columns() * width_) * sizeof(float))),
          quantized_(static_cast<std::size_t>(width_)) {}

    void pack(std::int64_t panel) {
        const std::int64_t columns = weight_.result_columns();
        const std::int64_t first = panel * columns;
        const std::int64_t count = std::min(columns, weight_.out - first);
        std::memset(weight_.panel(panel, 0), 0,
                    static_cast<std::size_t>(weight_.taps * weight_.quads * kQuad * kPanelColumns));
        pack_rows(panel, 0, first, count);
        if (weight_.shape.geglu) pack_rows(panel, columns, weight_.out + first, count);
    }

  private:
    void pack_rows(std::int64_t panel, std::int64_t column, std::int64_t first, std::int64_t count) {
        auto* const values = static_cast<float*>(values_->data());
        read_rows(rows_, first, count, width_, values);
        for (std::int64_t i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(panel * kPanelColumns + column + i);
            weight_.scale[at] = quantize_weights(values + i * width_, width_, quantized_.data());
            if (!bias_.empty()) weight_.bias[at] = bias_[static_cast<std::size_t>(first + i)];
            if (weight_.taps == 1)
                place_row(panel, column + i);
            else
                place_kernel(panel, column + i);
        }
    }

    void place_row(std::int64_t panel, std::int64_t column) {
        std::int8_t* const to = weight_.panel(panel, 0) + column * kQuad;
        const std::int8_t* const q = quantized_.data();
        for (std::int64_t i = 0; i < weight_.shape.in; i += kQuad)
            std::memcpy(to + i * kPanelColumns, q + i,
                        static_cast<std::size_t>(std::min(kQuad, weight_.shape.in - i)));
        std::int64_t total = 0;
        for (std::int64_t i = 0; i < weight_.shape.in; ++i) total += q[i];
        total_of(panel, 0, column) = static_cast<float>(total);
    }

    // The file has [in, taps], the panel [taps, in].
    void place_kernel(std::int64_t panel, std::int64_t column) {
        for (std::int64_t tap = 0; tap < weight_.taps; ++tap) {
            std::int8_t* const to = weight_.panel(panel, tap) + column * kQuad;
            const std::int8_t* const q = quantized_.data() + tap;
            std::int64_t total = 0;
            for (std::int64_t i = 0; i < weight_.shape.in; ++i) {
                const std::int8_t value = q[i * weight_.taps];
                to[i / kQuad * kQuad * kPanelColumns + i % kQuad] = value;
                total += value;
            }
            total_of(panel, tap, column) = static_cast<float>(total);
        }
    }

    float& total_of(std::int64_t panel, std::int64_t tap, std::int64_t column) {
        return weight_
            .totals[static_cast<std::size_t>((panel * weight_.taps + tap) * kPanelColumns + column)];
    }

    Int8Weight& weight_;
    const std::vector<RowBlock>& rows_;
    const std::vector<float>& bias_;
    std::int64_t width_;
    std::shared_ptr<Storage> values_;
    std::vector<std::int8_t> quantized_;
};

std::size_t bytes_of(const std::vector<float>& values) {
    return values.size() * sizeof(float);
}

}  // namespace

std::size_t Int8Weight::bytes() const {
    return buffer->bytes() + bytes_of(totals) + bytes_of(scale) + bytes_of(bias);
}

std::uint64_t Int8Weight::digest() const {
    std::uint64_t digest = digest_of(buffer->span());
    for (const auto* values : {&scale, &bias}) digest = digest_of(std::as_bytes(std::span(*values)), digest);
    return digest;
}

std::shared_ptr<const Int8Weight> quantize(const std::vector<RowBlock>& rows, const Int8Shape& shape,
                                           const std::vector<float>& bias, MemoryPool& pool,
                                           MemoryPool& scratch) {
    auto weight = std::make_shared<Int8Weight>();
    weight->shape = shape;
    weight->taps = shape.kernel_height * shape.kernel_width;
    for (const RowBlock& block : rows) weight->out += block.count;
    if (shape.geglu) weight->out /= 2;
    weight->quads = (shape.in + kQuad - 1) / kQuad;
    weight->panels = (weight->out + weight->result_columns() - 1) / weight->result_columns();
    const auto columns = static_cast<std::size_t>(weight->panels * kPanelColumns);
    const auto taps = static_cast<std::size_t>(weight->taps);
    weight->buffer = std::make_shared<WeightBuffer>(
        pool, columns * taps * static_cast<std::size_t>(weight->quads * kQuad));
    weight->totals.resize(columns * taps);
    weight->scale.resize(columns);
    weight->bias.resize(columns);
    std::exception_ptr error;
    std::mutex mutex;
    parallel_ranges(weight->panels, 1, [&](std::int64_t begin, std::int64_t end) {
        try {
            PanelPacker packer(*weight, rows, bias, scratch);
            for (std::int64_t panel = begin; panel < end; ++panel) packer.pack(panel);
        } catch (...) {
            const std::lock_guard lock(mutex);
            error = std::current_exception();
        }
    });
    if (error) std::rethrow_exception(error);
    return weight;
}

}  // namespace sdxl::onednn
