// Vector kernels of the oneDNN backend (Highway: one binary, the best instruction set of the machine it runs
// on).
//
// Element types are float and bf16_bits; arithmetic is float32. These are single-threaded pieces over
// contiguous memory; the ops split the work. `T` is the activation's element type.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace sdxl::onednn {

enum class EltwiseKind { kSilu, kGelu, kQuickGelu, kRelu };

// Any floating element type to T; `source` may be unaligned.
void convert(const std::byte* source, DType dtype, float* target, std::int64_t count);
void convert(const std::byte* source, DType dtype, bf16_bits* target, std::int64_t count);

// y = a + b
void add(const float* a, const float* b, float* y, std::int64_t count);
void add(const bf16_bits* a, const bf16_bits* b, bf16_bits* y, std::int64_t count);

// y = a + factor * b
void add_scaled(const float* a, const float* b, float factor, float* y, std::int64_t count);
void add_scaled(const bf16_bits* a, const bf16_bits* b, float factor, bf16_bits* y, std::int64_t count);

void eltwise(EltwiseKind kind, const float* x, float* y, std::int64_t count);
void eltwise(EltwiseKind kind, const bf16_bits* x, bf16_bits* y, std::int64_t count);

// One row of `width`: y = (x - mean) / sqrt(var + eps) * gamma + beta.
void layer_norm_row(const float* x, const float* gamma, const float* beta, float eps, float* y,
                    std::int64_t width);
void layer_norm_row(const bf16_bits* x, const float* gamma, const float* beta, float eps, bf16_bits* y,
                    std::int64_t width);

// sum[c] += x[r][c] + shift[c], square[c] += (x[r][c] + shift[c])^2 over `rows` rows; shift may be null.
void channel_moments(const float* x, const float* shift, std::int64_t rows, std::int64_t width, float* sum,
                     float* square);
void channel_moments(const bf16_bits* x, const float* shift, std::int64_t rows, std::int64_t width,
                     float* sum, float* square);

// y[r][c] = f(x[r][c] * scale[c] + bias[c]), f is SiLU or nothing.
void scale_bias_rows(const float* x, const float* scale, const float* bias, bool silu, float* y,
                     std::int64_t rows, std::int64_t width);
void scale_bias_rows(const bf16_bits* x, const float* scale, const float* bias, bool silu, bf16_bits* y,
                     std::int64_t rows, std::int64_t width);

// One row of the online softmax (Milakov and Gimelshein, 2018): p[i] = exp(scale * s[i] - m') for i < width,
// where m' = max(*row_max, scale * max(s)). Updates *row_max to m' and *row_sum to row_sum * exp(m - m') +
// sum(p); returns exp(m - m'), by which what was accumulated before must be multiplied.
float softmax_row(const float* scores, std::int64_t width, float scale, float* row_max, float* row_sum,
                  float* p);
float softmax_row(const float* scores, std::int64_t width, float scale, float* row_max, float* row_sum,
                  bf16_bits* p);

// x *= factor
void scale_row(float* x, float factor, std::int64_t width);
// y = x * factor
void scale_convert_row(const float* x, float factor, float* y, std::int64_t width);
void scale_convert_row(const float* x, float factor, bf16_bits* y, std::int64_t width);

// The instruction set in use, e.g. "AVX3_DL".
const char* kernel_target();

}  // namespace sdxl::onednn
