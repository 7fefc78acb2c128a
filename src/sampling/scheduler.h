// The interface of all schedulers (samplers): which timesteps to visit, and how a model's output moves the
// sample from one to the next. Schedulers know no models, devices or requests: they work on flat host arrays,
// element by element, so any layout is right as long as it is always the same one.
//
// A scheduler is owned by one generation and used by one thread at a time. All of its state is in values:
// `clone` gives an independent copy that continues from the same step, so a generation can be stopped and
// resumed. Starting at a later step than 0 (image to image) is allowed. Numbers match diffusers 0.27 to
// float32 accuracy.
//
// A new scheduler is a file of its own that derives from this; CMakeLists.txt says where else it is named.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "sampling/random.h"

namespace sdxl {

class Scheduler {
  public:
    virtual ~Scheduler() = default;
    virtual std::unique_ptr<Scheduler> clone() const = 0;

    // Lays out `steps` steps and forgets the history of earlier ones. Must be called before anything below.
    // Fails with kInvalidRequest where the schedule cannot hold that many.
    virtual void set_timesteps(int steps) = 0;

    // [steps] timesteps as the model takes them, falling; whole numbers unless Karras sigmas fall between
    // them.
    const std::vector<float>& timesteps() const { return timesteps_; }
    // [steps + 1] noise levels, the last being where the sample ends.
    const std::vector<float>& sigmas() const { return sigmas_; }

    // Standard deviation of the noise that the first step starts from.
    virtual float init_noise_sigma() const = 0;
    // The sample as the model wants to see it at this step. REQUIRES: 0 <= step_index < steps.
    virtual std::vector<float> scale_model_input(std::span<const float> sample, int step_index) const = 0;
    // A clean sample with noise as it should be where this step starts (image to image, inpainting).
    virtual std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                         int step_index) const = 0;
    // The sample at the next step. `sample` is the one before scale_model_input. Draws from `noise` only
    // where the method is stochastic, `sample.size()` values at a time. REQUIRES: equal sizes; steps in
    // rising order, and all steps of a generation with the same size.
    virtual std::vector<float> step(std::span<const float> model_output, int step_index,
                                    std::span<const float> sample, NoiseSource& noise) = 0;

  protected:
    Scheduler() = default;
    Scheduler(const Scheduler&) = default;
    Scheduler& operator=(const Scheduler&) = default;

    float sigma(int step_index) const { return sigmas_.at(static_cast<std::size_t>(step_index)); }

    std::vector<float> timesteps_;
    std::vector<float> sigmas_;
};

}  // namespace sdxl
