// What a scheduler shows the model: the noise level of the sample at a call, found from outside.
#pragma once

#include <cmath>
#include <cstddef>

#include "sampling/scheduler.h"

namespace sdxl {

// Samples are gain * (x0 + sigma * noise).
struct SeenLevel {
    double gain, sigma;
};

inline SeenLevel seen_level(const Scheduler& scheduler, int call) {
    const double listed = scheduler.sigmas().at(static_cast<std::size_t>(call));
    const float one = 1;
    const double scale = scheduler.scale_model_input({&one, 1}, call).front();
    if (scale == 1) return {1 / std::sqrt(1 + listed * listed), listed};  // variance preserving
    const bool in_the_middle = scheduler.first_call(1) == 2 && call % 2 == 1;
    return {1, in_the_middle ? std::sqrt(1 / (scale * scale) - 1) : listed};
}

// The level at which the sample is after the last call.
inline SeenLevel final_level(const Scheduler& scheduler) {
    const double end = scheduler.sigmas().back();
    const float one = 1;
    const bool exploding = scheduler.scale_model_input({&one, 1}, 0).front() != 1;
    return {exploding ? 1 : 1 / std::sqrt(1 + end * end), end};
}

}  // namespace sdxl
