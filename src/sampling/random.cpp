#include "sampling/random.h"

#include "core/error.h"
#include "sampling/mt19937_noise.h"
#include "sampling/philox_noise.h"

namespace sdxl {

std::unique_ptr<NoiseSource> make_noise_source(RngKind kind, std::uint64_t seed) {
    switch (kind) {
        case RngKind::kCpu:
            return std::make_unique<Mt19937Noise>(seed);
        case RngKind::kPhilox:
            return std::make_unique<PhiloxNoise>(seed);
    }
    fail(ErrorCode::kInternal, "this kind of random numbers has no source");
}

std::vector<float> CountedNoise::normal(std::int64_t count) {
    ++draws_;
    return source_->normal(count);
}

}  // namespace sdxl
