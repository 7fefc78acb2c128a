// From a model's output to the clean sample it implies, for samples x = x0 + sigma * noise (Karras et al.
// 2022). Source: v-prediction, Salimans and Ho 2022 (https://arxiv.org/abs/2202.00512), in the scaling of
// k-diffusion.
#pragma once

#include <span>
#include <vector>

#include "request/names.h"

namespace sdxl {

// REQUIRES: equal sizes.
std::vector<float> predict_original_sample(PredictionType type, float sigma,
                                           std::span<const float> model_output,
                                           std::span<const float> sample);

}  // namespace sdxl
