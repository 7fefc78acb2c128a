#include "sampling/ddpm.h"

#include <algorithm>
#include <cmath>

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> DdpmScheduler::clone() const {
    return std::make_unique<DdpmScheduler>(*this);
}

std::vector<float> DdpmScheduler::step(std::span<const float> model_output, int call,
                                       std::span<const float> sample, NoiseSource& noise) {
    const int t = timestep(call);
    const int end = previous(call);
    const float at = alpha_squared(t);
    const float to = end < 0 ? 1.0f : alpha_squared(end);
    const float alpha = at / to;  // of this step alone
    const float beta = 1.0f - alpha;
    auto next = mix(std::sqrt(to) * beta / (1.0f - at), denoised(model_output, t, sample),
                    std::sqrt(alpha) * (1.0f - to) / (1.0f - at), sample);
    if (t == 0) return next;
    constexpr float kLeast = 1e-20f;
    const float small = std::max((1.0f - to) / (1.0f - at) * beta, kLeast);
    const float variance = config().variance_type == VarianceType::kFixedLarge ? beta : small;
    add_fresh_noise(next, std::sqrt(variance), noise);
    return next;
}

}  // namespace sdxl
