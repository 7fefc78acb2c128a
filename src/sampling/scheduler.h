// The interface of all schedulers (samplers): which timesteps to visit, and how a model's output moves the
// sample from one to the next. Schedulers know no models, devices or requests: they work on flat host arrays,
// element by element, so any layout is right as long as it is always the same one.
//
// Some methods call the model more than once in a step. As in diffusers, each call has an entry of its own in
// timesteps(), and the caller counts calls: a call's index is what the functions below take.
//
// A scheduler is owned by one generation and used by one thread at a time. All of its state is in values:
// `clone` gives an independent copy that continues from the same call, so a generation can be stopped and
// resumed. Numbers match diffusers 0.27 to float32 accuracy.
//
// A new scheduler is a file of its own that derives from this; CMakeLists.txt says where else it is named.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "sampling/random.h"

namespace sdxl {

// Which steps to make: a number of them, or a list of one's own. REQUIRES: exactly one is set.
struct StepPlan {
    int steps = 0;
    std::vector<double> timesteps = {};  // training timesteps to visit, falling
    std::vector<double> sigmas = {};     // noise levels to visit, falling; the 0 at their end may be left out
};

class Scheduler {
  public:
    virtual ~Scheduler() = default;
    virtual std::unique_ptr<Scheduler> clone() const = 0;

    // Lays out the steps and forgets the history of earlier ones. Must be called before anything below. Fails
    // with kInvalidRequest where the schedule cannot hold that many, a list does not fall or leaves the
    // schedule, or the method cannot follow a list of this kind.
    void set_timesteps(const StepPlan& plan) { lay_out(plan); }
    void set_timesteps(int steps) { lay_out({.steps = steps}); }

    // [calls] timesteps as the model takes them. Falling, with repeats where a method looks twice; whole
    // numbers unless sigmas that do not follow from timesteps fall between them.
    const std::vector<float>& timesteps() const { return timesteps_; }
    // [calls + 1] noise levels (of x0 + sigma * noise), the last being where the sample ends.
    const std::vector<float>& sigmas() const { return sigmas_; }

    // The call with which a step begins. Image to image may start at any step, but not between the calls of
    // one.
    virtual int first_call(int step) const { return step; }

    // The noise level at which the model looks at the sample in this call. REQUIRES: 0 <= call < calls.
    virtual float model_sigma(int call) const { return sigma(call); }

    // Standard deviation of the noise that the first step starts from.
    virtual float init_noise_sigma() const = 0;
    // The sample as the model wants to see it at this call. REQUIRES: 0 <= call < calls.
    virtual std::vector<float> scale_model_input(std::span<const float> sample, int call) const = 0;
    // A clean sample with noise as it should be where this call starts (image to image, inpainting).
    virtual std::vector<float> add_noise(std::span<const float> original, std::span<const float> noise,
                                         int call) const = 0;
    // The sample at the next call. `sample` is the one before scale_model_input. Draws from `noise` only
    // where the method is stochastic, `sample.size()` values at a time. REQUIRES: equal sizes; calls in
    // rising order without gaps, and all calls of a generation with the same size.
    virtual std::vector<float> step(std::span<const float> model_output, int call,
                                    std::span<const float> sample, NoiseSource& noise) = 0;

  protected:
    Scheduler() = default;
    Scheduler(const Scheduler&) = default;
    Scheduler& operator=(const Scheduler&) = default;

    virtual void lay_out(const StepPlan& plan) = 0;

    float sigma(int call) const { return sigmas_.at(static_cast<std::size_t>(call)); }
    int calls() const { return static_cast<int>(timesteps_.size()); }

    std::vector<float> timesteps_;
    std::vector<float> sigmas_;
};

}  // namespace sdxl
