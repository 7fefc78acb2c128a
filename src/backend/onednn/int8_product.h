// Linear layers, GEGLU and convolutions on int8 weights, on all cores.
//
// A pass quantises the activations, row by row; then tiles of six rows and 64 outputs are summed in registers
// (int8_kernels), with what follows the product done while the tile is in the first-level cache. A
// convolution is the sum of one such product for each place of its kernel, over the pixels that lie there:
// each pixel keeps its own scale. Threads: one at a time.
#pragma once

#include "backend/onednn/int8_weight.h"
#include "backend/onednn/memory_pool.h"
#include "tensor/tensor.h"

namespace sdxl::onednn {

// x [rows, in] -> y [rows, out], or [rows, inner] of a GEGLU; `residual` [rows, out] with kAdd. f32 or bf16.
void int8_linear(const Int8Weight& weight, const Tensor& x, TileEnd end, const Tensor& residual,
                 const Tensor& y, MemoryPool& pool);
// x [N, H, W, in] -> y [N, H', W', out].
void int8_conv2d(const Int8Weight& weight, const Tensor& x, const Tensor& residual, const Tensor& y,
                 MemoryPool& pool);

}  // namespace sdxl::onednn
