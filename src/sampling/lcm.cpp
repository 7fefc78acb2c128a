#include "sampling/lcm.h"

#include <cmath>

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> LcmScheduler::clone() const {
    return std::make_unique<LcmScheduler>(*this);
}

std::vector<float> LcmScheduler::step(std::span<const float> model_output, int call,
                                      std::span<const float> sample, NoiseSource& noise) {
    const int t = timestep(call);
    // The boundary condition of consistency models: at time 0 the sample is the answer.
    constexpr double kSigmaData = 0.5;
    const double time = t * config().timestep_scaling;
    const double square = time * time + kSigmaData * kSigmaData;
    auto clean = mix(static_cast<float>(time / std::sqrt(square)), denoised(model_output, t, sample),
                     static_cast<float>(kSigmaData * kSigmaData / square), sample);
    if (is_last(call)) return clean;
    const MixLevel to = level(previous(call));
    for (float& value : clean) value *= to.alpha;
    add_fresh_noise(clean, to.s, noise);
    return clean;
}

}  // namespace sdxl
