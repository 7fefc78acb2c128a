// torch.randn on CUDA: Philox 4x32-10 and Box-Muller. Value i of call k is drawn from the counter (k, 0, i,
// 0) under the seed as the key, so each call advances the offset by one.
//
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
// (https://doi.org/10.1145/2063384.2063405), and cuRAND's float Box-Muller; the counter layout is that of
// PyTorch for tensors up to one grid, which Stable Diffusion web UI ("GPU" noise on the CPU) and
// stable-diffusion.cpp use for all sizes.
#pragma once

#include <cstdint>

#include "sampling/random.h"

namespace sdxl {

class PhiloxNoise final : public NoiseSource {
  public:
    explicit PhiloxNoise(std::uint64_t seed) : seed_(seed) {}

    std::vector<float> normal(std::int64_t count) override;

  private:
    std::uint64_t seed_;
    std::uint32_t offset_ = 0;  // calls so far
};

}  // namespace sdxl
