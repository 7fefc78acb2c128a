// How an adapter changes one tensor of the model: the mathematics of every family, in float32.
//
// A delta points into its adapter's mapped file and keeps it open. Nothing is computed before it is asked
// for. Threads: immutable, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tensor/shape.h"
#include "weights/adapter_file.h"

namespace sdxl {

// c = a b, row-major: a [rows, inner], b [inner, columns], c [rows, columns].
using MatrixProduct = std::function<void(const float* a, const float* b, float* c, std::int64_t rows,
                                         std::int64_t inner, std::int64_t columns)>;
// A plain one, on the calling thread.
void plain_product(const float* a, const float* b, float* c, std::int64_t rows, std::int64_t inner,
                   std::int64_t columns);

// The change is scale * up down, with the model's tensor as a matrix [rows, columns]: [out, in] or
// [out, in * height * width].
struct LowRankFactors {
    std::vector<float> up;    // [rows, rank]
    std::vector<float> down;  // [rank, columns]
    std::int64_t rows = 0;
    std::int64_t rank = 0;
    std::int64_t columns = 0;
    float scale = 1;
};

class AdapterDelta {
  public:
    // The model tensor's.
    const Shape& shape() const;
    AdapterFamily family() const;
    bool dora() const;

    // Whether the change is a plain product of two factors (LoRA, also with Tucker's middle; not DoRA).
    bool low_rank() const;
    // REQUIRES: low_rank().
    LowRankFactors factors() const;

    // weight += multiplier * change, for every family. `weight` has the model tensor's elements. DoRA needs
    // the model's own weight: `original`, which may be `weight` itself; empty means that it is.
    // DoRA at a multiplier: W + multiplier * (W_dora - W), as ComfyUI and the web UI do.
    void apply(std::span<float> weight, float multiplier, std::span<const float> original = {},
               const MatrixProduct& product = plain_product) const;
};

}  // namespace sdxl
