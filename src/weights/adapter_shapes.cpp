#include "weights/adapter_shapes.h"

#include "core/error.h"

namespace sdxl {
namespace {

using Leaf = AdapterLeaf;

[[noreturn]] void does_not_fit(const FileTensor& tensor, const std::string& expected,
                               const AdapterTarget& target) {
    fail(ErrorCode::kInvalidModel, "'" + target.file + "': tensor " + quoted_name(tensor.view.name) +
                                       " has shape " + tensor.view.shape.str() + ", expected " + expected +
                                       " to change " + target.model + " of shape " + target.shape.str() +
                                       ": the adapter is for another model");
}

// The shapes of one module, asked for by leaf.
class ModuleShapes {
  public:
    ModuleShapes(const AdapterModule& module, const AdapterTarget& target)
        : module_(module), target_(target), whole_(matrix_shape(target.shape)) {
        const bool convolution = target.shape.rank() > 2;
        inputs_ = target.shape.rank() > 1 ? target.shape[1] : 1;
        kernel_ = convolution && inputs_ > 0 ? whole_.columns / inputs_ : 1;
    }

    void check_lora() const {
        const std::int64_t rank = at(Leaf::kDown).rows;
        const bool middle = module_.has(Leaf::kMid);
        const std::int64_t outer = middle ? at(Leaf::kMid).rows : rank;
        expect(Leaf::kUp, whole_.rows, outer);
        expect(Leaf::kDown, rank, middle ? inputs_ : whole_.columns);
        if (middle) expect(Leaf::kMid, outer, rank * kernel_);
    }

    void check_loha() const {
        check_product(Leaf::kHadaW1A, Leaf::kHadaW1B, Leaf::kHadaT1, whole_);
        check_product(Leaf::kHadaW2A, Leaf::kHadaW2B, Leaf::kHadaT2, whole_);
    }

    void check_lokr() const {
        MatrixShape small = module_.has(Leaf::kLokrW1)
                                ? at(Leaf::kLokrW1)
                                : MatrixShape{at(Leaf::kLokrW1A).rows, at(Leaf::kLokrW1B).columns};
        const FileTensor& first = *module_.find(module_.has(Leaf::kLokrW1) ? Leaf::kLokrW1 : Leaf::kLokrW1A);
        if (small.rows < 1 || small.columns < 1 || whole_.rows % small.rows != 0 ||
            inputs_ % small.columns != 0)
            does_not_fit(first, "a matrix whose extents divide outputs and inputs", target_);
        if (!module_.has(Leaf::kLokrW1)) check_product(Leaf::kLokrW1A, Leaf::kLokrW1B, std::nullopt, small);
        const MatrixShape large{whole_.rows / small.rows, whole_.columns / small.columns};
        if (module_.has(Leaf::kLokrW2))
            expect(Leaf::kLokrW2, large.rows, large.columns);
        else
            check_product(Leaf::kLokrW2A, Leaf::kLokrW2B, Leaf::kLokrT2, large);
    }

    void check_difference(Leaf leaf) const { expect(leaf, whole_.rows, whole_.columns); }

  private:
    MatrixShape at(Leaf leaf) const {
        const FileTensor& tensor = *module_.find(leaf);
        const Shape& shape = tensor.view.shape;
        if (shape.rank() == 0) does_not_fit(tensor, "a matrix", target_);
        if (shape.numel() < 1)
            fail(ErrorCode::kInvalidModel, "'" + target_.file + "': tensor " + quoted_name(tensor.view.name) +
                                               " has shape " + shape.str() +
                                               ": a rank of 0, the file is damaged");
        return matrix_shape(shape);
    }

    void expect(Leaf leaf, std::int64_t rows, std::int64_t columns) const {
        if (at(leaf) != MatrixShape{rows, columns})
            does_not_fit(*module_.find(leaf), Shape{rows, columns}.str(), target_);
    }

    // [rows, r] [r, columns]; with a core [i, j, window] of Tucker's: [i, rows] and [j, inputs].
    void check_product(Leaf out, Leaf in, std::optional<Leaf> core, const MatrixShape& product) const {
        const std::int64_t inner = at(in).rows;
        if (core && module_.has(*core)) {
            const std::int64_t outer = at(*core).rows;
            expect(out, outer, product.rows);
            expect(in, inner, product.columns / kernel_);
            expect(*core, outer, inner * kernel_);
            return;
        }
        expect(out, product.rows, inner);
        expect(in, inner, product.columns);
    }

    const AdapterModule& module_;
    const AdapterTarget& target_;
    MatrixShape whole_;
    std::int64_t inputs_ = 1;
    std::int64_t kernel_ = 1;
};

}  // namespace

MatrixShape matrix_shape(const Shape& shape) {
    std::int64_t columns = 1;
    for (std::size_t i = 1; i < shape.rank(); ++i) columns *= shape.dims()[i];
    return {shape[0], columns};
}

void check_weight_shapes(const AdapterModule& module, const AdapterTarget& target) {
    const ModuleShapes shapes(module, target);
    switch (*module.family()) {
        case AdapterFamily::kLora:
            return shapes.check_lora();
        case AdapterFamily::kLoha:
            return shapes.check_loha();
        case AdapterFamily::kLokr:
            return shapes.check_lokr();
        case AdapterFamily::kFull:
            return shapes.check_difference(Leaf::kDiff);
        case AdapterFamily::kNorm:
            return shapes.check_difference(Leaf::kNorm);
    }
}

void check_bias_shape(const FileTensor& tensor, const AdapterTarget& target) {
    if (tensor.view.shape != target.shape) does_not_fit(tensor, target.shape.str(), target);
}

bool magnitudes_of_rows(const FileTensor& magnitudes, bool lycoris, const AdapterTarget& target) {
    const Shape& shape = magnitudes.view.shape;
    const std::int64_t rows = target.shape[0];
    const std::int64_t inputs = target.shape.rank() > 1 ? target.shape[1] : 1;
    const bool vector = shape.rank() < 2 || !lycoris;
    if (shape.rank() > 0 && shape.numel() == rows && (vector || shape[0] == rows)) return true;
    if (lycoris && shape.rank() >= 2 && shape[0] == 1 && shape[1] == inputs && shape.numel() == inputs)
        return false;
    const std::string of_rows = Shape{rows, 1}.str();
    does_not_fit(magnitudes, lycoris ? of_rows + " or " + Shape{1, inputs}.str() : Shape{rows}.str(), target);
}

}  // namespace sdxl
