#include "sampling/euler_ancestral_discrete.h"

#include <cmath>
#include <cstddef>

namespace sdxl {

EulerAncestralDiscreteScheduler::EulerAncestralDiscreteScheduler(const SchedulerConfig& config)
    : EulerDiscreteScheduler(config) {}

std::unique_ptr<Scheduler> EulerAncestralDiscreteScheduler::clone() const {
    return std::make_unique<EulerAncestralDiscreteScheduler>(*this);
}

std::vector<float> EulerAncestralDiscreteScheduler::step(std::span<const float> model_output, int step_index,
                                                         std::span<const float> sample, NoiseSource& noise) {
    const float from = sigma(step_index);
    const float to = sigma(step_index + 1);
    const float up = std::sqrt(to * to * (from * from - to * to) / (from * from));
    const float down = std::sqrt(to * to - up * up);
    auto next = euler_step(model_output, from, down, sample);
    const auto fresh = noise.normal(static_cast<std::int64_t>(next.size()));
    for (std::size_t i = 0; i < next.size(); ++i) next[i] += fresh[i] * up;
    return next;
}

}  // namespace sdxl
