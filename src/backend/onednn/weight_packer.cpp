#include "backend/onednn/weight_packer.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>

#include "backend/onednn/dnnl_compat.h"
#include "backend/onednn/kernels.h"
#include "backend/onednn/parallel.h"
#include "core/error.h"

namespace sdxl::onednn {
namespace {

using Offsets = std::vector<std::int64_t>;

// offset[i]: what index i along `dim` adds to an element's place.
Offsets dimension_offsets(const Blocking& blocking, int dim, std::int64_t extent) {
    std::int64_t block = 1;
    for (std::size_t i = 0; i < blocking.inner_blocks.size(); ++i)
        if (blocking.inner_dims[i] == dim) block *= blocking.inner_blocks[i];
    Offsets offsets(static_cast<std::size_t>(extent));
    for (std::int64_t index = 0; index < extent; ++index) {
        std::int64_t place = index / block * blocking.strides[static_cast<std::size_t>(dim)];
        std::int64_t rest = index % block;
        std::int64_t stride = 1;
        for (std::size_t i = blocking.inner_blocks.size(); i-- > 0;) {
            if (blocking.inner_dims[i] == dim) {
                place += rest % blocking.inner_blocks[i] * stride;
                rest /= blocking.inner_blocks[i];
            }
            stride *= blocking.inner_blocks[i];
        }
        offsets[static_cast<std::size_t>(index)] = place;
    }
    return offsets;
}

// Offsets of all combinations of indices along `dims`, the last running fastest.
Offsets combined_offsets(const Blocking& blocking, const std::vector<int>& dims,
                         const dnnl::memory::dims& extents) {
    Offsets combined{0};
    for (const int dim : dims) {
        const Offsets along = dimension_offsets(blocking, dim, extents[static_cast<std::size_t>(dim)]);
        Offsets next;
        next.reserve(combined.size() * along.size());
        for (const auto base : combined)
            for (const auto offset : along) next.push_back(base + offset);
        combined = std::move(next);
    }
    return combined;
}

Blocking require_blocking(const dnnl::memory::desc& desc) {
    Blocking blocking = blocking_of(desc);
    if (!blocking.blocked) fail(ErrorCode::kInternal, "oneDNN chose a weight layout that cannot be packed");
    return blocking;
}

std::int64_t padded_elements(const dnnl::memory::desc& desc, std::size_t element_size) {
    return static_cast<std::int64_t>(desc.get_size() / element_size);
}

// Rows and elements of a row that are packed together: what they become stays in the first-level cache
// meanwhile.
constexpr std::int64_t kRowGroup = 64;
constexpr std::int64_t kChunk = 128;

void place(const float* values, const std::int64_t* offsets, std::int64_t count, float* base) {
    for (std::int64_t i = 0; i < count; ++i) base[offsets[i]] = values[i];
}

// bfloat16 layouts keep pairs of input channels together: where they do, two elements move at once.
void place(const bf16_bits* values, const std::int64_t* offsets, std::int64_t count, bf16_bits* base) {
    std::int64_t i = 0;
    for (; i + 1 < count && offsets[i + 1] == offsets[i] + 1; i += 2)
        std::memcpy(base + offsets[i], values + i, 2 * sizeof(bf16_bits));
    for (; i < count; ++i) base[offsets[i]] = values[i];
}

template <class T>
void scatter_rows(const RowBlock& block, const std::int64_t* row_offsets, const Offsets& inner, T* target) {
    const auto width = static_cast<std::int64_t>(inner.size());
    const std::size_t element = dtype_size(block.view.dtype);
    const std::int64_t groups = (block.count + kRowGroup - 1) / kRowGroup;
    parallel_ranges(groups, 1, [&](std::int64_t first_group, std::int64_t last_group) {
        T converted[kChunk];
        for (std::int64_t group = first_group; group < last_group; ++group) {
            const std::int64_t end_row = std::min(block.count, (group + 1) * kRowGroup);
            for (std::int64_t column = 0; column < width; column += kChunk) {
                const std::int64_t count = std::min(kChunk, width - column);
                for (std::int64_t row = group * kRowGroup; row < end_row; ++row) {
                    const std::int64_t at = (block.first + row) * width + column;
                    convert(block.view.data + static_cast<std::size_t>(at) * element, block.view.dtype,
                            converted, count);
                    place(converted, inner.data() + column, count, target + row_offsets[row]);
                }
            }
        }
    });
}

// The same for rows that change on their way: a group of them is made whole, in float32, while it is in the
// second-level cache.
template <class T>
void scatter_edited(const RowBlock& block, const std::int64_t* row_offsets, const Offsets& inner, T* target,
                    MemoryPool& pool) {
    const auto width = static_cast<std::int64_t>(inner.size());
    const std::size_t element = dtype_size(block.view.dtype);
    const std::int64_t groups = (block.count + kRowGroup - 1) / kRowGroup;
    std::exception_ptr error;
    std::mutex mutex;
    parallel_ranges(groups, 1, [&](std::int64_t first_group, std::int64_t last_group) {
        try {
            const auto scratch = pool.allocate(static_cast<std::size_t>(kRowGroup * width) * sizeof(float));
            auto* const rows = static_cast<float*>(scratch->data());
            T converted[kChunk];
            for (std::int64_t group = first_group; group < last_group; ++group) {
                const std::int64_t begin = group * kRowGroup;
                const std::int64_t count = std::min(kRowGroup, block.count - begin);
                convert(block.view.data + static_cast<std::size_t>((block.first + begin) * width) * element,
                        block.view.dtype, rows, count * width);
                block.view.edit->apply(block.first + begin, count,
                                       {rows, static_cast<std::size_t>(count * width)});
                for (std::int64_t column = 0; column < width; column += kChunk) {
                    const std::int64_t columns = std::min(kChunk, width - column);
                    for (std::int64_t row = 0; row < count; ++row) {
                        convert(reinterpret_cast<const std::byte*>(rows + row * width + column), DType::kF32,
                                converted, columns);
                        place(converted, inner.data() + column, columns, target + row_offsets[begin + row]);
                    }
                }
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            error = std::current_exception();
        }
    });
    if (error) std::rethrow_exception(error);
}

template <class T>
void pack_rows(const Offsets& row_offsets, const Offsets& inner, const std::vector<RowBlock>& rows, T* target,
               MemoryPool& pool) {
    const std::int64_t* at = row_offsets.data();
    for (const RowBlock& block : rows) {
        if (block.view.edit == nullptr)
            scatter_rows(block, at, inner, target);
        else
            scatter_edited(block, at, inner, target, pool);
        at += block.count;
    }
}

template <class T>
void move_rows(const Offsets& from_rows, const Offsets& from_inner, const T* from, const Offsets& to_rows,
               const Offsets& to_inner, T* to) {
    parallel_ranges(
        static_cast<std::int64_t>(from_rows.size()), 64, [&](std::int64_t begin, std::int64_t end) {
            for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row)
                for (std::size_t i = 0; i < from_inner.size(); ++i)
                    to[to_rows[row] + to_inner[i]] = from[from_rows[row] + from_inner[i]];
        });
}

}  // namespace

PackedMatrix pack(const dnnl::memory::desc& desc, const std::vector<RowBlock>& rows, int row_dim,
                  const std::vector<int>& inner_dims, MemoryPool& pool) {
    const Blocking blocking = require_blocking(desc);
    const auto extents = dims_of(desc);
    const Offsets row_offsets =
        dimension_offsets(blocking, row_dim, extents[static_cast<std::size_t>(row_dim)]);
    const Offsets inner = combined_offsets(blocking, inner_dims, extents);
    PackedMatrix packed{desc, std::make_shared<WeightBuffer>(pool, desc.get_size())};
    const std::size_t element = is_bf16(desc) ? 2 : 4;
    const auto elements = static_cast<std::int64_t>(row_offsets.size() * inner.size());
    if (elements != padded_elements(desc, element)) std::memset(packed.buffer->data(), 0, desc.get_size());
    if (is_bf16(desc)) {
        pack_rows(row_offsets, inner, rows, static_cast<bf16_bits*>(packed.buffer->data()), pool);
    } else {
        pack_rows(row_offsets, inner, rows, static_cast<float*>(packed.buffer->data()), pool);
    }
    return packed;
}

PackedMatrix repack(const PackedMatrix& from, const dnnl::memory::desc& to, MemoryPool& pool) {
    const Blocking source = require_blocking(from.desc);
    const Blocking target = require_blocking(to);
    const auto extents = dims_of(to);
    std::vector<int> inner_dims;
    for (int dim = 1; dim < static_cast<int>(extents.size()); ++dim) inner_dims.push_back(dim);
    PackedMatrix packed{to, std::make_shared<WeightBuffer>(pool, to.get_size())};
    std::memset(packed.buffer->data(), 0, to.get_size());
    const Offsets from_rows = dimension_offsets(source, 0, extents[0]);
    const Offsets to_rows = dimension_offsets(target, 0, extents[0]);
    const Offsets from_inner = combined_offsets(source, inner_dims, extents);
    const Offsets to_inner = combined_offsets(target, inner_dims, extents);
    if (is_bf16(to)) {
        move_rows(from_rows, from_inner, static_cast<const bf16_bits*>(from.buffer->data()), to_rows,
                  to_inner, static_cast<bf16_bits*>(packed.buffer->data()));
    } else {
        move_rows(from_rows, from_inner, static_cast<const float*>(from.buffer->data()), to_rows, to_inner,
                  static_cast<float*>(packed.buffer->data()));
    }
    return packed;
}

}  // namespace sdxl::onednn
