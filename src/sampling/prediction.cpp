#include "sampling/prediction.h"

#include <cmath>
#include <cstddef>

namespace sdxl {

std::vector<float> predict_original_sample(PredictionType type, float sigma,
                                           std::span<const float> model_output,
                                           std::span<const float> sample) {
    std::vector<float> original(model_output.begin(), model_output.end());
    switch (type) {
        case PredictionType::kSample:
            break;
        case PredictionType::kEpsilon:
            for (std::size_t i = 0; i < original.size(); ++i)
                original[i] = sample[i] - sigma * model_output[i];
            break;
        case PredictionType::kVPrediction: {
            const float variance = sigma * sigma + 1.0f;
            const float scale = -sigma / std::sqrt(variance);
            for (std::size_t i = 0; i < original.size(); ++i)
                original[i] = model_output[i] * scale + sample[i] / variance;
            break;
        }
    }
    return original;
}

}  // namespace sdxl
