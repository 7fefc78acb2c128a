// Converts weights from a file's element type and order straight into the blocked layout a oneDNN primitive
// wants.
//
// In every blocked layout an element's place is a sum of one term per dimension, so a row of the source
// scatters through one table. That is a single pass from the mapped file to packed memory, on all cores,
// whatever the layout; oneDNN's own reorders need the source converted first and fall back to a scalar loop
// for these layouts.
#pragma once

#include <dnnl.hpp>
#include <memory>
#include <span>
#include <vector>

#include "backend/onednn/memory_pool.h"
#include "tensor/host_view.h"

namespace sdxl::onednn {

struct PackedMatrix {
    dnnl::memory::desc desc;
    std::shared_ptr<WeightBuffer> buffer;
};

// A block of source rows: `count` rows starting at `first` of a view whose outermost extent is the output
// dimension.
struct RowBlock {
    HostView view;
    std::int64_t first = 0;
    std::int64_t count = 0;
};

// Packs rows (stacked in order) into `desc`. `row_dim` is the dimension of desc that output rows run along;
// the others are, in source order, `inner_dims`: {0} for a [K, N] matmul weight (row_dim 1), {1, 2, 3} for
// OIHW (row_dim 0). Padding is zero. `desc` is f32 or bf16. Fails with kInternal for layouts that are not
// blocked.
PackedMatrix pack(const dnnl::memory::desc& desc, const std::vector<RowBlock>& rows, int row_dim,
                  const std::vector<int>& inner_dims, MemoryPool& pool);

// The same values in another layout of the same element type and dimensions.
PackedMatrix repack(const PackedMatrix& from, const dnnl::memory::desc& to, MemoryPool& pool);

}  // namespace sdxl::onednn
