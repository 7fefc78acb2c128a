// Normal random numbers that match torch's, so that a seed gives the picture it gives elsewhere.
//
// One source is one torch generator: it starts from a seed and each call continues where the last one ended.
// Owned by one generation; not for several threads at once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "request/names.h"

namespace sdxl {

class NoiseSource {
  public:
    virtual ~NoiseSource() = default;

    // What `torch.randn(count)` gives next. A tensor is filled in its flat (NCHW) order, and how a number of
    // values is divided into calls changes them: ask for a tensor at a time. REQUIRES: count >= 0.
    virtual std::vector<float> normal(std::int64_t count) = 0;
};

std::unique_ptr<NoiseSource> make_noise_source(RngKind kind, std::uint64_t seed);

// Counts how often it is asked, so that another pass over the same picture can draw behind it.
class CountedNoise final : public NoiseSource {
  public:
    CountedNoise(RngKind kind, std::uint64_t seed) : source_(make_noise_source(kind, seed)) {}

    std::vector<float> normal(std::int64_t count) override;
    int draws() const { return draws_; }

  private:
    std::unique_ptr<NoiseSource> source_;
    int draws_ = 0;
};

}  // namespace sdxl
