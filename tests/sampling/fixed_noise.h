// Noise for tests: fixed numbers, or impulses that show where each draw ends up.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "sampling/random.h"

namespace sdxl {

// cos(0.7 i + 1.9 k) over the index i, k counting draws.
class FixedNoise final : public NoiseSource {
  public:
    std::vector<float> normal(std::int64_t count) override {
        std::vector<float> values;
        for (std::int64_t i = 0; i < count; ++i)
            values.push_back(static_cast<float>(std::cos(0.7 * static_cast<double>(i) + 1.9 * draws_)));
        ++draws_;
        return values;
    }

  private:
    int draws_ = 0;
};

// Draw k is 1 at index k + 1 and 0 elsewhere.
class ImpulseNoise final : public NoiseSource {
  public:
    std::vector<float> normal(std::int64_t count) override {
        std::vector<float> values(static_cast<std::size_t>(count));
        values.at(++draws_) = 1;
        return values;
    }

  private:
    std::size_t draws_ = 0;
};

}  // namespace sdxl
