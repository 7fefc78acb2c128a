// How an adapter changes one tensor of the model: the mathematics of every family, in float32.
//
// A delta points into its adapter's mapped file and keeps that open; nothing is computed before it is asked
// for. Threads: immutable, any thread.
//
// The change of W, as a matrix [out, in] or [out, in * height * width] (A1111, ComfyUI and LyCORIS agree):
//   LoRA   alpha/r up down                       LoRA with a middle  alpha/r up (mid x down)
//   LoHa   alpha/r (a1 b1) * (a2 b2)             LoKr  alpha/r w1 (x) w2; 1 where both are whole
//   full, norms  the difference
// An alpha that is missing or 0 is the rank (kohya-ss/sd-scripts networks/lora.py).
// DoRA (Liu et al. 2024, https://arxiv.org/abs/2402.09353): W' = m (W + change) / |W + change|, the norms
// over rows (PEFT; LyCORIS with wd_on_out) or over all that one input channel feeds (LyCORIS).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tensor/shape.h"
#include "weights/adapter_file.h"

namespace sdxl {

// c = a b, row-major: a [rows, inner], b [inner, columns], c [rows, columns].
using MatrixProduct = std::function<void(const float* a, const float* b, float* c, std::int64_t rows,
                                         std::int64_t inner, std::int64_t columns)>;
// On the calling thread.
void plain_product(const float* a, const float* b, float* c, std::int64_t rows, std::int64_t inner,
                   std::int64_t columns);

// The change is scale * up down.
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
    // Of the weight or the bias that `module` changes; `shape` is the model's tensor's. Fails with
    // kInvalidModel, naming tensor, expected and found shape, where they do not fit. `file` and `target` are
    // for that message: the adapter's path, "the unet's 'conv_in.weight'". `module` must have such a change.
    static AdapterDelta of_weight(const AdapterModule& module, const Shape& shape, const std::string& file,
                                  const std::string& target);
    static AdapterDelta of_bias(const AdapterModule& module, const Shape& shape, const std::string& file,
                                const std::string& target);

    const Shape& shape() const { return shape_; }
    AdapterFamily family() const { return family_; }
    bool dora() const { return magnitude_ != Magnitude::kNone; }
    std::int64_t rank() const { return rank_; }

    // Whether the change is a product of two factors (LoRA, with a middle too; not under DoRA).
    bool low_rank() const { return family_ == AdapterFamily::kLora && !dora(); }
    // REQUIRES: low_rank().
    LowRankFactors factors(const MatrixProduct& product = plain_product) const;

    // weight += multiplier * change, for every family. `weight` has the model tensor's elements.
    // Under DoRA the change is W' - W, as ComfyUI's: it grows evenly with the multiplier, and 0 leaves W. W
    // is `original`, the model's own weight; empty says that `weight` still is it.
    void apply(std::span<float> weight, float multiplier, std::span<const float> original = {},
               const MatrixProduct& product = plain_product) const;

  private:
    enum class Magnitude { kNone, kRows, kInputs };

    AdapterDelta(AdapterFamily family, const Shape& shape);
    void bind(const AdapterModule& module, std::initializer_list<AdapterLeaf> leaves);
    void bind_magnitude(const AdapterModule& module, const std::string& file, const std::string& target);
    std::vector<float> values(AdapterLeaf leaf) const;
    bool has(AdapterLeaf leaf) const { return tensors_.contains(leaf); }
    std::int64_t extent(AdapterLeaf leaf, int axis) const;

    std::vector<float> change(const MatrixProduct& product) const;  // [rows, columns], scaled
    std::vector<float> hadamard(const MatrixProduct& product) const;
    std::vector<float> kronecker(const MatrixProduct& product) const;
    std::vector<float> tucker(AdapterLeaf core, AdapterLeaf out, AdapterLeaf in,
                              const MatrixProduct& product) const;
    void renormalise(std::vector<float>& merged) const;  // W + change -> W'

    AdapterFamily family_;
    Shape shape_;
    std::int64_t rows_ = 0;
    std::int64_t columns_ = 0;
    std::int64_t kernel_ = 1;  // elements of a convolution's window
    std::int64_t rank_ = 0;
    float scale_ = 1;
    Magnitude magnitude_ = Magnitude::kNone;
    AdapterLeaf magnitude_leaf_ = AdapterLeaf::kDoraScale;
    std::map<AdapterLeaf, FileTensor> tensors_;
};

}  // namespace sdxl
