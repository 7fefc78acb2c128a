#include "sampling/prediction.h"

#include <cmath>
#include <cstddef>

#include "sampling/vector_math.h"

namespace sdxl {
namespace {

std::vector<float> copy(std::span<const float> values) {
    return {values.begin(), values.end()};
}

// (x - scale * part) / divisor
std::vector<float> rest(std::span<const float> x, float scale, std::span<const float> part, float divisor) {
    auto values = copy(x);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (x[i] - scale * part[i]) / divisor;
    return values;
}

}  // namespace

std::vector<float> predict_original_sample(PredictionType type, float sigma,
                                           std::span<const float> model_output,
                                           std::span<const float> sample) {
    if (type == PredictionType::kSample) return copy(model_output);
    if (type == PredictionType::kEpsilon) return mix(1, sample, -sigma, model_output);
    const float variance = sigma * sigma + 1.0f;
    return mix(-sigma / std::sqrt(variance), model_output, 1 / variance, sample);
}

std::vector<float> predict_original_sample(PredictionType type, const MixLevel& level,
                                           std::span<const float> model_output,
                                           std::span<const float> sample) {
    if (type == PredictionType::kSample) return copy(model_output);
    if (type == PredictionType::kEpsilon) return rest(sample, level.s, model_output, level.alpha);
    return mix(level.alpha, sample, -level.s, model_output);
}

std::vector<float> predict_noise(PredictionType type, const MixLevel& level,
                                 std::span<const float> model_output, std::span<const float> sample) {
    if (type == PredictionType::kEpsilon) return copy(model_output);
    if (type == PredictionType::kSample) return rest(sample, level.alpha, model_output, level.s);
    return mix(level.alpha, model_output, level.s, sample);
}

}  // namespace sdxl
