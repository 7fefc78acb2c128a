#include "sampling/vector_math.h"

#include <cstddef>
#include <cstdint>

namespace sdxl {

std::vector<float> mix(float a, std::span<const float> x, float b, std::span<const float> y) {
    std::vector<float> mixed(x.size());
    for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = a * x[i] + b * y[i];
    return mixed;
}

void add_scaled(std::vector<float>& x, float a, std::span<const float> y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += a * y[i];
}

void add_fresh_noise(std::vector<float>& x, float a, NoiseSource& noise) {
    add_scaled(x, a, noise.normal(static_cast<std::int64_t>(x.size())));
}

}  // namespace sdxl
