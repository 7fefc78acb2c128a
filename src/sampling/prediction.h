// From a model's output to the clean sample, or the noise, that it implies. Source: v-prediction, Salimans
// and Ho 2022 (https://arxiv.org/abs/2202.00512).
#pragma once

#include <span>
#include <vector>

#include "request/names.h"

namespace sdxl {

// For samples x = x0 + sigma * noise (Karras et al. 2022; v in the scaling of k-diffusion).
// REQUIRES: equal sizes.
std::vector<float> predict_original_sample(PredictionType type, float sigma,
                                           std::span<const float> model_output,
                                           std::span<const float> sample);

// A noise level of samples x = alpha * x0 + s * noise, alpha^2 + s^2 = 1.
struct MixLevel {
    float alpha, s;
};
// REQUIRES: equal sizes; the level is not one at which the output says nothing about the answer (noise from
// a clean sample at s = 0, a clean sample from noise at alpha = 0).
std::vector<float> predict_original_sample(PredictionType type, const MixLevel& level,
                                           std::span<const float> model_output,
                                           std::span<const float> sample);
std::vector<float> predict_noise(PredictionType type, const MixLevel& level,
                                 std::span<const float> model_output, std::span<const float> sample);

}  // namespace sdxl
