#include "weights/adapter_delta.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "weights/adapter_shapes.h"
#include "weights/weight_scope.h"

namespace sdxl {
namespace {

using Leaf = AdapterLeaf;

std::size_t size_of(std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

std::vector<float> product_of(const std::vector<float>& a, const std::vector<float>& b, std::int64_t rows,
                              std::int64_t inner, std::int64_t columns, const MatrixProduct& product) {
    std::vector<float> c(size_of(rows, columns));
    product(a.data(), b.data(), c.data(), rows, inner, columns);
    return c;
}

// [rows, columns] -> [columns, rows]
std::vector<float> transposed(const std::vector<float>& matrix, std::int64_t rows, std::int64_t columns) {
    std::vector<float> turned(matrix.size());
    for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t column = 0; column < columns; ++column)
            turned[size_of(column, rows) + static_cast<std::size_t>(row)] =
                matrix[size_of(row, columns) + static_cast<std::size_t>(column)];
    return turned;
}

// Of a convolution's middle: core [outer, inner, window], in [inner, inputs] -> [outer, inputs, window].
std::vector<float> widened(const std::vector<float>& core, const std::vector<float>& in, std::int64_t outer,
                           std::int64_t inner, std::int64_t inputs, std::int64_t window,
                           const MatrixProduct& product) {
    const std::vector<float> turned = transposed(in, inner, inputs);
    std::vector<float> wide(size_of(outer, inputs * window));
    for (std::int64_t i = 0; i < outer; ++i)  // [inputs, inner] [inner, window]
        product(turned.data(), core.data() + size_of(i, inner * window),
                wide.data() + size_of(i, inputs * window), inputs, inner, window);
    return wide;
}

float scale_of(const AdapterModule& module, std::int64_t rank) {
    if (rank == 0 || !module.alpha || *module.alpha == 0) return 1;
    const auto divisor = static_cast<float>(rank);
    return *module.alpha / (module.root_scale ? std::sqrt(divisor) : divisor);
}

}  // namespace

void plain_product(const float* a, const float* b, float* c, std::int64_t rows, std::int64_t inner,
                   std::int64_t columns) {
    for (std::int64_t row = 0; row < rows; ++row, a += inner) {
        float* out = c + row * columns;
        std::fill_n(out, columns, 0.0F);
        std::int64_t i = 0;
        for (; i + 4 <= inner; i += 4) {  // four at a time: `out` passes through memory less often
            const float a0 = a[i], a1 = a[i + 1], a2 = a[i + 2], a3 = a[i + 3];
            const float* in = b + i * columns;
            for (std::int64_t column = 0; column < columns; ++column)
                out[column] += a0 * in[column] + a1 * in[column + columns] + a2 * in[column + 2 * columns] +
                               a3 * in[column + 3 * columns];
        }
        for (; i < inner; ++i) {
            const float a0 = a[i];
            const float* in = b + i * columns;
            for (std::int64_t column = 0; column < columns; ++column) out[column] += a0 * in[column];
        }
    }
}

AdapterDelta::AdapterDelta(AdapterFamily family, const Shape& shape) : family_(family), shape_(shape) {
    const MatrixShape matrix = matrix_shape(shape);
    rows_ = matrix.rows;
    columns_ = matrix.columns;
    if (shape.rank() > 2) kernel_ = columns_ / shape[1];
}

AdapterDelta AdapterDelta::of_weight(const AdapterModule& module, const Shape& shape, const std::string& file,
                                     const std::string& target) {
    check_weight_shapes(module, {shape, file, target});
    AdapterDelta delta(*module.family(), shape);
    delta.bind(module,
               {Leaf::kUp, Leaf::kDown, Leaf::kMid, Leaf::kHadaW1A, Leaf::kHadaW1B, Leaf::kHadaW2A,
                Leaf::kHadaW2B, Leaf::kHadaT1, Leaf::kHadaT2, Leaf::kLokrW1, Leaf::kLokrW1A, Leaf::kLokrW1B,
                Leaf::kLokrW2, Leaf::kLokrW2A, Leaf::kLokrW2B, Leaf::kLokrT2, Leaf::kDiff, Leaf::kNorm});
    delta.rank_ = module.rank();
    delta.scale_ = scale_of(module, delta.rank_);
    delta.bind_magnitude(module, file, target);
    return delta;
}

AdapterDelta AdapterDelta::of_bias(const AdapterModule& module, const Shape& shape, const std::string& file,
                                   const std::string& target) {
    const Leaf leaf = module.has(Leaf::kDiffBias)   ? Leaf::kDiffBias
                      : module.has(Leaf::kNormBias) ? Leaf::kNormBias
                                                    : Leaf::kUpBias;
    check_bias_shape(*module.find(leaf), {shape, file, target});
    AdapterDelta delta(leaf == Leaf::kNormBias ? AdapterFamily::kNorm : AdapterFamily::kFull, shape);
    // PEFT's bias stands behind the product and is scaled with it.
    if (leaf == Leaf::kUpBias) delta.scale_ = scale_of(module, module.rank());
    delta.bind(module, {leaf});
    return delta;
}

void AdapterDelta::bind(const AdapterModule& module, std::initializer_list<AdapterLeaf> leaves) {
    for (const Leaf leaf : leaves)
        if (const FileTensor* there = module.find(leaf)) tensors_.emplace(leaf, *there);
}

void AdapterDelta::bind_magnitude(const AdapterModule& module, const std::string& file,
                                  const std::string& target) {
    for (const Leaf leaf : {Leaf::kDoraScale, Leaf::kMagnitude}) {
        const FileTensor* there = module.find(leaf);
        if (there == nullptr) continue;
        const bool rows = magnitudes_of_rows(*there, leaf == Leaf::kDoraScale, {shape_, file, target});
        magnitude_ = rows ? Magnitude::kRows : Magnitude::kInputs;
        magnitude_leaf_ = leaf;
        tensors_.emplace(leaf, *there);
    }
}

std::vector<float> AdapterDelta::values(AdapterLeaf leaf) const {
    return to_f32(tensors_.at(leaf).view);
}

std::int64_t AdapterDelta::extent(AdapterLeaf leaf, int axis) const {
    const MatrixShape shape = matrix_shape(tensors_.at(leaf).view.shape);
    return axis == 0 ? shape.rows : shape.columns;
}

LowRankFactors AdapterDelta::factors(const MatrixProduct& product) const {
    LowRankFactors factors{values(Leaf::kUp), values(Leaf::kDown), rows_, rank_, columns_, scale_};
    if (!has(Leaf::kMid)) return factors;
    factors.rank = extent(Leaf::kMid, 0);
    factors.down =
        widened(values(Leaf::kMid), factors.down, factors.rank, rank_, columns_ / kernel_, kernel_, product);
    return factors;
}

// einsum("i j ..., i p, j r -> p r ...", core, out, in), as [outputs, inputs * window].
std::vector<float> AdapterDelta::tucker(AdapterLeaf core, AdapterLeaf out, AdapterLeaf in,
                                        const MatrixProduct& product) const {
    const std::int64_t outer = extent(core, 0);
    const std::int64_t inner = extent(in, 0);
    const std::int64_t inputs = extent(in, 1);
    const std::int64_t outputs = extent(out, 1);
    const auto wide = widened(values(core), values(in), outer, inner, inputs, kernel_, product);
    return product_of(transposed(values(out), outer, outputs), wide, outputs, outer, inputs * kernel_,
                      product);
}

std::vector<float> AdapterDelta::hadamard(const MatrixProduct& product) const {
    const auto half = [&](Leaf out, Leaf in, Leaf core) {
        if (has(core)) return tucker(core, out, in, product);
        return product_of(values(out), values(in), rows_, extent(in, 0), columns_, product);
    };
    auto first = half(Leaf::kHadaW1A, Leaf::kHadaW1B, Leaf::kHadaT1);
    const auto second = half(Leaf::kHadaW2A, Leaf::kHadaW2B, Leaf::kHadaT2);
    for (std::size_t i = 0; i < first.size(); ++i) first[i] *= second[i];
    return first;
}

std::vector<float> AdapterDelta::kronecker(const MatrixProduct& product) const {
    const Leaf first = has(Leaf::kLokrW1) ? Leaf::kLokrW1 : Leaf::kLokrW1A;
    const std::int64_t blocks_down = extent(first, 0);
    const std::int64_t blocks_across = extent(has(Leaf::kLokrW1) ? first : Leaf::kLokrW1B, 1);
    const std::int64_t rows = rows_ / blocks_down;
    const std::int64_t columns = columns_ / blocks_across;
    const auto small = has(Leaf::kLokrW1)
                           ? values(Leaf::kLokrW1)
                           : product_of(values(Leaf::kLokrW1A), values(Leaf::kLokrW1B), blocks_down,
                                        extent(Leaf::kLokrW1B, 0), blocks_across, product);
    const auto large = has(Leaf::kLokrW2)   ? values(Leaf::kLokrW2)
                       : has(Leaf::kLokrT2) ? tucker(Leaf::kLokrT2, Leaf::kLokrW2A, Leaf::kLokrW2B, product)
                                            : product_of(values(Leaf::kLokrW2A), values(Leaf::kLokrW2B), rows,
                                                         extent(Leaf::kLokrW2B, 0), columns, product);
    std::vector<float> whole(size_of(rows_, columns_));
    for (std::int64_t down = 0; down < blocks_down; ++down)
        for (std::int64_t row = 0; row < rows; ++row)
            for (std::int64_t across = 0; across < blocks_across; ++across) {
                const float factor = small[size_of(down, blocks_across) + static_cast<std::size_t>(across)];
                const float* in = large.data() + size_of(row, columns);
                float* out = whole.data() + size_of(down * rows + row, columns_) + size_of(across, columns);
                for (std::int64_t column = 0; column < columns; ++column) out[column] = factor * in[column];
            }
    return whole;
}

std::vector<float> AdapterDelta::change(const MatrixProduct& product) const {
    std::vector<float> change;
    switch (family_) {
        case AdapterFamily::kLora: {
            const LowRankFactors low = factors(product);
            change = product_of(low.up, low.down, rows_, low.rank, columns_, product);
            break;
        }
        case AdapterFamily::kLoha:
            change = hadamard(product);
            break;
        case AdapterFamily::kLokr:
            change = kronecker(product);
            break;
        case AdapterFamily::kFull:
        case AdapterFamily::kNorm:
            for (const Leaf leaf :
                 {Leaf::kDiff, Leaf::kDiffBias, Leaf::kNorm, Leaf::kNormBias, Leaf::kUpBias})
                if (has(leaf)) change = values(leaf);
            break;
    }
    if (scale_ != 1)
        for (float& value : change) value *= scale_;
    return change;
}

void AdapterDelta::renormalise(std::vector<float>& merged) const {
    const auto magnitudes = values(magnitude_leaf_);
    const bool of_rows = magnitude_ == Magnitude::kRows;
    const std::int64_t length = of_rows ? columns_ : kernel_;  // of neighbours under one magnitude
    const auto each_group = [&](const auto& visit) {
        float* group = merged.data();
        for (std::int64_t row = 0; row < rows_; ++row)
            for (std::int64_t i = 0; i < columns_ / length; ++i, group += length)
                visit(static_cast<std::size_t>(of_rows ? row : i), group);
    };
    std::vector<double> squares(magnitudes.size());
    each_group([&](std::size_t index, const float* group) {
        double sum = 0;
        for (std::int64_t i = 0; i < length; ++i) sum += double{group[i]} * group[i];
        squares[index] += sum;
    });
    std::vector<float> factors(magnitudes.size());
    for (std::size_t i = 0; i < factors.size(); ++i)  // a direction of zeros stays one
        factors[i] = squares[i] > 0 ? static_cast<float>(magnitudes[i] / std::sqrt(squares[i])) : 0;
    each_group([&](std::size_t index, float* group) {
        for (std::int64_t i = 0; i < length; ++i) group[i] *= factors[index];
    });
}

void AdapterDelta::apply(std::span<float> weight, float multiplier, std::span<const float> original,
                         const MatrixProduct& product) const {
    std::vector<float> change = this->change(product);
    if (dora()) {
        const std::span<const float> own = original.empty() ? std::span<const float>(weight) : original;
        std::vector<float> merged(own.begin(), own.end());
        for (std::size_t i = 0; i < merged.size(); ++i) merged[i] += change[i];
        renormalise(merged);
        for (std::size_t i = 0; i < merged.size(); ++i) change[i] = merged[i] - own[i];
    }
    for (std::size_t i = 0; i < change.size(); ++i) weight[i] += multiplier * change[i];
}

}  // namespace sdxl
