// Kernels of int8 products: AVX-512 VNNI multiplies four pairs of bytes into each of sixteen sums at once.
//
// Activations are quantised row by row (a token, a pixel): x = scale * u + offset with u in 0..255, so that
// ranges that are not symmetric (behind SiLU, GELU) lose nothing. Weights are symmetric, w = scale[out] * q
// with q in -127..127. Then, exactly in integers up to the last line,
//   dot = sum u q,  total = sum q
//   y = scale[out] * (scale * dot + offset * total) + bias
// Every row is computed by itself in a fixed order: what else is in the batch does not change a bit of it.
// Weights lie in panels of 64 outputs, [quad of inputs][64][4]; each row of activations is padded to whole
// quads. REQUIRES int8_kernels_run() for all but the first two.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/onednn/kernels.h"

namespace sdxl::onednn {

constexpr std::int64_t kTileRows = 6;  // with kPanel columns they fill 24 of 32 registers
constexpr std::int64_t kPanelColumns = 64;
constexpr std::int64_t kQuad = 4;  // inputs that one instruction adds up

// Whether this processor has the instructions.
bool int8_kernels_run();

// x [width] -> u [padded], padding zero. A row with a value that is not finite gets a scale and an offset of
// NaN.
void quantize_row(const float* x, std::int64_t width, std::int64_t padded, std::uint8_t* u, float* scale,
                  float* offset);
void quantize_row(const bf16_bits* x, std::int64_t width, std::int64_t padded, std::uint8_t* u, float* scale,
                  float* offset);

// A row of weights -> q; returns its scale, NaN where a value is not finite.
float quantize_weights(const float* w, std::int64_t count, std::int8_t* q);

// Rows of activations of one tap of a tile.
struct TileRows {
    const std::uint8_t* values[kTileRows];
    float scale[kTileRows];
    float offset[kTileRows];
};

// sums [kTileRows, kPanelColumns] (+)= scale * dot + offset * total; overwritten with `first`.
void add_tile(const TileRows& rows, const std::int8_t* panel, std::int64_t quads, const float* totals,
              bool first, float* sums);

// What becomes of the sums of one row of a tile: y = f(sums * scale + bias) + residual.
enum class TileEnd { kNone, kSilu, kGelu, kQuickGelu, kRelu, kAdd };
void finish_row(const float* sums, const float* scale, const float* bias, TileEnd end, const float* residual,
                float* y, std::int64_t count);
void finish_row(const float* sums, const float* scale, const float* bias, TileEnd end,
                const bf16_bits* residual, bf16_bits* y, std::int64_t count);
// Columns 0..31 are values, 32..63 their gates: y = value * gelu(gate).
void finish_geglu_row(const float* sums, const float* scale, const float* bias, float* y, std::int64_t count);
void finish_geglu_row(const float* sums, const float* scale, const float* bias, bf16_bits* y,
                      std::int64_t count);

}  // namespace sdxl::onednn
