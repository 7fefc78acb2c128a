#include "pipeline/guidance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sdxl {
namespace {

double standard_deviation(std::span<const float> values) {
    double sum = 0;
    double squares = 0;
    for (const float value : values) {
        sum += value;
        squares += static_cast<double>(value) * value;
    }
    const auto count = static_cast<double>(values.size());
    return std::sqrt(std::max(0.0, (squares - sum * sum / count) / (count - 1)));
}

// Brings the guided prediction back to the spread of the prompt's own, as far as `rescale` says.
void rescale_to(std::span<float> guided, std::span<const float> prompt, float rescale) {
    const double spread = standard_deviation(guided);
    if (rescale == 0 || spread == 0) return;
    const auto factor = static_cast<float>(rescale * standard_deviation(prompt) / spread + (1.0 - rescale));
    for (float& value : guided) value *= factor;
}

}  // namespace

std::vector<float> guide(std::span<const float> negative, std::span<const float> prompt,
                         std::span<const float> perturbed, const GuidanceScales& scales) {
    std::vector<float> guided(prompt.begin(), prompt.end());
    if (!negative.empty())
        for (std::size_t i = 0; i < guided.size(); ++i)
            guided[i] = negative[i] + scales.scale * (prompt[i] - negative[i]);
    if (!perturbed.empty())
        for (std::size_t i = 0; i < guided.size(); ++i) guided[i] += scales.pag * (prompt[i] - perturbed[i]);
    if (!negative.empty() || !perturbed.empty()) rescale_to(guided, prompt, scales.rescale);
    return guided;
}

}  // namespace sdxl
