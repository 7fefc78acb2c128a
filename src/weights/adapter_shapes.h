// The shapes that an adapter's module must have to change a tensor of the model.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/shape.h"
#include "weights/adapter_file.h"

namespace sdxl {

// A tensor as a matrix: its first extent, and all the others multiplied.
struct MatrixShape {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    bool operator==(const MatrixShape&) const = default;
};
// REQUIRES: rank of at least 1.
MatrixShape matrix_shape(const Shape& shape);

// What changes, for the checks and their messages.
struct AdapterTarget {
    const Shape& shape;        // the model's tensor's
    const std::string& file;   // the adapter's path
    const std::string& model;  // "the unet's 'conv_in.weight'"
};

// Fail with kInvalidModel, naming tensor, expected and found shape.
void check_weight_shapes(const AdapterModule& module, const AdapterTarget& target);
// The leaf has as many elements as the model's bias.
void check_bias_shape(const FileTensor& tensor, const AdapterTarget& target);
// Whether DoRA's magnitudes are of the rows; else they are of the input channels.
bool magnitudes_of_rows(const FileTensor& magnitudes, bool lycoris, const AdapterTarget& target);

}  // namespace sdxl
