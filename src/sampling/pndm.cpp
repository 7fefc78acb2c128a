#include "sampling/pndm.h"

#include <cmath>
#include <cstddef>

#include "core/error.h"
#include "sampling/vector_math.h"

namespace sdxl {
namespace {

constexpr std::size_t kOrder = 4;

}  // namespace

PndmScheduler::PndmScheduler(const SchedulerConfig& config) : TrainedTimestepScheduler(config) {
    if (!config.skip_prk_steps)
        fail(ErrorCode::kUnsupported,
             "PNDM is available in its PLMS form; set skip_prk_steps to true, or choose Heun");
    if (config.rescale_betas_zero_snr)
        fail(ErrorCode::kUnsupported,
             "PNDM cannot start at a terminal SNR of zero; set rescale_betas_zero_snr to false, or choose "
             "DDIM");
}

std::unique_ptr<Scheduler> PndmScheduler::clone() const {
    return std::make_unique<PndmScheduler>(*this);
}

void PndmScheduler::lay_out(const StepPlan& plan) {
    TrainedTimestepScheduler::lay_out(plan);
    if (timesteps_.size() > 1) {
        timesteps_.insert(timesteps_.begin() + 1, timesteps_[1]);
        sigmas_.insert(sigmas_.begin() + 1, sigmas_[1]);
    }
    outputs_.clear();
    start_.clear();
}

// The slope over the coming step, by what is remembered.
std::vector<float> PndmScheduler::extrapolate() const {
    constexpr float kAdamsBashforth[kOrder][kOrder] = {
        {1},
        {3.0f / 2, -1.0f / 2},
        {23.0f / 12, -16.0f / 12, 5.0f / 12},
        {55.0f / 24, -59.0f / 24, 37.0f / 24, -9.0f / 24},
    };
    const auto& weights = kAdamsBashforth[outputs_.size() - 1];
    std::vector<float> sum(outputs_.front().size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) add_scaled(sum, weights[i], outputs_[i]);
    return sum;
}

// Eq. 9 of the paper.
std::vector<float> PndmScheduler::transfer(std::span<const float> model_output, int from, int to,
                                           std::span<const float> sample) const {
    const auto noise = predict_noise(config().prediction_type, level(from), model_output, sample);
    const float at = alpha_squared(from);
    const float end = alpha_squared(to);
    const float divisor = at * std::sqrt(1.0f - end) + std::sqrt(at * (1.0f - at) * end);
    return mix(std::sqrt(end / at), sample, -(end - at) / divisor, noise);
}

std::vector<float> PndmScheduler::step(std::span<const float> model_output, int call,
                                       std::span<const float> sample, NoiseSource&) {
    if (call == 1 && !outputs_.empty()) {
        // The first step once more, with the mean of the slopes at both of its ends.
        const int to = timestep(call);
        const int from = stride() > 0 ? to + stride() : timestep(0);
        return transfer(mix(0.5f, model_output, 0.5f, outputs_.front()), from, to, start_);
    }
    outputs_.insert(outputs_.begin(), {model_output.begin(), model_output.end()});
    if (outputs_.size() > kOrder) outputs_.pop_back();
    if (call == 0) start_.assign(sample.begin(), sample.end());
    // Without the first call, the second one has no step to make again.
    const int to = call == 1 ? timestep(call) : previous(call);
    return transfer(extrapolate(), timestep(call), to, sample);
}

}  // namespace sdxl
