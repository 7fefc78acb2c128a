#include "ops/prepared.h"

#include "core/error.h"
#include "ops/checks.h"

namespace sdxl::ops {
namespace {

bool is_matrix(const Shape& shape) {
    return shape.rank() == 2 || (shape.rank() == 4 && shape[2] == 1 && shape[3] == 1);
}

// Checks the stack and returns its output rows.
std::int64_t check_stack(std::string_view op, const LinearSource& source) {
    if (source.weights.empty()) refuse(op, "no weight", "");
    if (!source.biases.empty() && source.biases.size() != source.weights.size()) {
        refuse(op, "one bias for each weight, or none", source.weights.front().shape.str());
    }
    std::int64_t out = 0;
    for (std::size_t i = 0; i < source.weights.size(); ++i) {
        const Shape& shape = source.weights[i].shape;  // [out_i, in]
        const bool fits = is_matrix(shape) && shape[1] == source.weights.front().shape[1];
        if (!fits) refuse(op, "weights must be [out, in] with one in", shape.str());
        if (!source.biases.empty() && source.biases[i].shape != Shape{shape[0]}) {
            refuse(op, "a bias must be [out]", shape.str() + " " + source.biases[i].shape.str());
        }
        out += shape[0];
    }
    return out;
}

}  // namespace

LinearWeight prepare_linear(const LoadContext& load, const LinearSource& source) {
    const std::int64_t out = check_stack("prepare_linear", source);
    return {load.backend.prepare_linear(source, load.form()), source.weights.front().shape[1], out};
}

GegluWeight prepare_geglu(const LoadContext& load, const LinearSource& source) {
    const std::int64_t out = check_stack("prepare_geglu", source);
    if (source.weights.size() != 1 || out % 2 != 0) {
        refuse("prepare_geglu", "one weight [2 * inner, in]", source.weights.front().shape.str());
    }
    return {load.backend.prepare_geglu(source, load.form()), source.weights.front().shape[1], out / 2};
}

ConvWeight prepare_conv2d(const LoadContext& load, const ConvSource& source) {
    const Shape& shape = source.weight.shape;  // [out, in, kh, kw]
    if (shape.rank() != 4) refuse("prepare_conv2d", "the weight must be [out, in, kh, kw]", shape.str());
    if (source.bias.data != nullptr && source.bias.shape != Shape{shape[0]}) {
        refuse("prepare_conv2d", "the bias must be [out]", shape.str() + " " + source.bias.shape.str());
    }
    return {load.backend.prepare_conv2d(source, load.form()),
            shape[1],
            shape[0],
            shape[2],
            shape[3],
            source.stride,
            source.padding};
}

}  // namespace sdxl::ops
