// The few operations on whole samples that the schedulers' formulas are made of.
#pragma once

#include <span>
#include <vector>

#include "sampling/random.h"

namespace sdxl {

// a * x + b * y. REQUIRES: equal sizes.
std::vector<float> mix(float a, std::span<const float> x, float b, std::span<const float> y);

// x += a * y. REQUIRES: equal sizes.
void add_scaled(std::vector<float>& x, float a, std::span<const float> y);

// x += a * z with fresh z; draws even where a is 0, so that what follows does not depend on a.
void add_fresh_noise(std::vector<float>& x, float a, NoiseSource& noise);

}  // namespace sdxl
