// Matrix products and convolutions. Weights are kept input-major, [in, out] or [kh, kw, in, out], so that the
// inner loop runs over neighbouring outputs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace sdxl::reference {

struct LinearWeight final : PreparedWeight {
    std::int64_t in = 0, out = 0;
    std::vector<float> values;  // [in, out]
    std::vector<float> bias;    // [out]; zeros where the layer has none

    std::size_t bytes() const override { return (values.size() + bias.size()) * sizeof(float); }
    std::uint64_t digest() const override {
        return digest_of(std::as_bytes(std::span(values)), digest_of(std::as_bytes(std::span(bias))));
    }
};

struct ConvWeight final : PreparedWeight {
    std::int64_t in = 0, out = 0, kernel_height = 0, kernel_width = 0;
    int stride = 1;
    Padding padding;
    std::vector<float> values;  // [kh, kw, in, out]
    std::vector<float> bias;    // [out]

    std::size_t bytes() const override { return (values.size() + bias.size()) * sizeof(float); }
    std::uint64_t digest() const override {
        return digest_of(std::as_bytes(std::span(values)), digest_of(std::as_bytes(std::span(bias))));
    }
};

// With `int8` the values are those that int8 weights stand for; the arithmetic stays.
WeightPtr prepare_linear(const LinearSource& source, bool int8);
WeightPtr prepare_conv2d(const ConvSource& source, bool int8);

// Contracts as in backend.h.
void add_product(std::span<float> target, std::span<const float> a, std::span<const float> b, std::int64_t k,
                 float scale);
Tensor linear(const Tensor& x, const LinearWeight& weight, Activation activation, const Tensor& residual);
Tensor geglu(const Tensor& x, const LinearWeight& weight);
Tensor conv2d(const Tensor& x, const ConvWeight& weight, const Tensor& residual);

}  // namespace sdxl::reference
