// torch.randn on the CPU: mt19937 and Box-Muller, in the two forms that torch uses.
//
// Source: PyTorch aten/src/ATen/native/cpu/DistributionTemplates.h (`normal_fill` for 16 values and more) and
// aten/src/ATen/core/DistributionsHelper.h (`normal_distribution<double>` for fewer).
#pragma once

#include <optional>
#include <random>
#include <span>

#include "sampling/random.h"

namespace sdxl {

class Mt19937Noise final : public NoiseSource {
  public:
    // torch keeps the low 32 bits of a seed here.
    explicit Mt19937Noise(std::uint64_t seed);

    std::vector<float> normal(std::int64_t count) override;

  private:
    float uniform_float();    // [0, 1), 24 bits of one draw
    double uniform_double();  // [0, 1), 53 bits of two draws
    double normal_double();
    void fill_blocks(std::span<float> values);

    std::mt19937 engine_;
    std::optional<double> cached_;  // the second value of a Box-Muller pair, kept across calls
};

}  // namespace sdxl
