#include "sampling/ddim.h"

#include "sampling/vector_math.h"

namespace sdxl {

std::unique_ptr<Scheduler> DdimScheduler::clone() const {
    return std::make_unique<DdimScheduler>(*this);
}

std::vector<float> DdimScheduler::step(std::span<const float> model_output, int call,
                                       std::span<const float> sample, NoiseSource&) {
    const int t = timestep(call);
    const MixLevel to = level(previous(call));
    return mix(to.alpha, denoised(model_output, t, sample), to.s,
               predict_noise(config().prediction_type, level(t), model_output, sample));
}

}  // namespace sdxl
