#include "nn/embeddings.h"

#include <cmath>

namespace sdxl::nn {

std::vector<float> sinusoidal_embedding(std::span<const float> values, std::int64_t dim) {
    const std::int64_t half = dim / 2;
    std::vector<float> result(values.size() * static_cast<std::size_t>(dim));
    for (std::size_t n = 0; n < values.size(); ++n) {
        float* row = result.data() + n * static_cast<std::size_t>(dim);
        for (std::int64_t i = 0; i < half; ++i) {
            // In float32, in this order, as the networks were trained.
            const float exponent = -std::log(10000.0F) * static_cast<float>(i) / static_cast<float>(half);
            const float angle = values[n] * std::exp(exponent);
            row[i] = std::cos(angle);
            row[half + i] = std::sin(angle);
        }
    }
    return result;
}

std::vector<float> guidance_embedding(float scale, std::int64_t dim) {
    constexpr float kSteps = 1000.0F;
    const std::int64_t half = dim / 2;
    std::vector<float> result(static_cast<std::size_t>(dim));
    for (std::int64_t i = 0; i < half; ++i) {
        const float exponent = -std::log(10000.0F) * static_cast<float>(i) / static_cast<float>(half - 1);
        const float angle = kSteps * scale * std::exp(exponent);
        result[static_cast<std::size_t>(i)] = std::sin(angle);
        result[static_cast<std::size_t>(half + i)] = std::cos(angle);
    }
    return result;
}

LoadContext unquantized(LoadContext load) {
    load.int8 = false;
    return load;
}

TimestepEmbedding::TimestepEmbedding(const LoadContext& load, const WeightScope& scope, std::int64_t in,
                                     std::int64_t out)
    : linear_1_(unquantized(load), scope.sub("linear_1"), in, out),
      linear_2_(unquantized(load), scope.sub("linear_2"), out, out) {}

Tensor TimestepEmbedding::forward(const Context& ctx, const Tensor& x, const Tensor& residual) const {
    const Tensor hidden = linear_1_.forward(ctx, x, {}, Activation::kSilu);  // [N, out]
    return linear_2_.forward(ctx, hidden, residual);                         // [N, out]
}

}  // namespace sdxl::nn
