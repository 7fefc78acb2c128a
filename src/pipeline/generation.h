// SdxlGeneration: one picture being made, resumable between steps.
//
// prepare(), then step() while steps are left, then finish(). The state between calls is a few host arrays;
// nothing of it lives in the model, so generations can take turns, the model may be unloaded and loaded again
// between two steps, and a picture does not depend on what ran in between. Latents are host arrays in torch's
// order, [1, 4, h, w]. Errors: Failure; kCancelled and kDeadlineExceeded within one op of the token being
// raised.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "ops/context.h"
#include "pipeline/encode_prompt.h"
#include "pipeline/sdxl_model.h"
#include "request/generation.h"
#include "sampling/random.h"
#include "sampling/scheduler.h"
#include "sampling/scheduler_registry.h"
#include "sampling/step_layout.h"

namespace sdxl {

// How the scheduler was chosen: by the request, else by the model.
struct SamplingPlan {
    SchedulerType type = SchedulerType::kEuler;
    SchedulerConfig config;

    TimestepSpacing spacing() const { return config.timestep_spacing.value_or(default_spacing(type)); }
    SigmaSchedule sigmas() const { return sigma_schedule_of(config); }
};
SamplingPlan plan_sampling(const GenerationRequest& request, const SdxlModel& model);

// What both guidance halves and all pictures of a request share.
struct Conditioning {
    UNetConditioning unet;                       // negative and positive with guidance, else positive
    std::optional<UNetConditioning> unet_alone;  // positive, where guidance leaves out some of the steps
    bool weighted = false;                       // by weights in the prompts
    std::vector<std::string> warnings;
};
Conditioning make_conditioning(const Context& ctx, const SdxlModel& model, const GenerationRequest& request);

class SdxlGeneration {
  public:
    // Every call is given the same model (or the same one loaded again) and the same conditioning.
    SdxlGeneration(const SdxlModel& model, const GenerationRequest& request, std::uint64_t seed);

    // Draws the first noise, or takes `noise` [1, 4, h, w] (standard normal). With an initial image it lies
    // over that, and the steps before the strength are left out.
    void prepare(const Context& ctx, const SdxlModel& model,
                 std::optional<std::vector<float>> noise = std::nullopt);
    // One call of the model and the scheduler. REQUIRES: prepare() was called, !done().
    void step(const Context& ctx, const SdxlModel& model, const Conditioning& conditioning);
    // The picture in 0..1, [H, W, 3] interleaved. REQUIRES: done().
    std::vector<float> finish(const Context& ctx, const SdxlModel& model) const;

    bool done() const { return next_call_ == last_call_; }
    // Passes through the model: some schedulers make more than one in a step.
    int calls_done() const { return next_call_ - first_call_; }
    int calls() const { return last_call_ - first_call_; }
    // Steps that the strength leaves out at the start.
    int skipped_steps() const { return skipped_steps_; }
    const std::vector<float>& latents() const { return latents_; }

  private:
    std::vector<float> encode_image(const Context& ctx, const SdxlModel& model);
    bool guidance_applies() const;
    std::vector<float> predict_noise(const Context& ctx, const SdxlModel& model,
                                     const Conditioning& conditioning, const std::vector<float>& input) const;

    int skipped_steps_ = 0;
    int first_call_ = 0;  // of the scheduler
    int next_call_ = 0;
    int last_call_ = 0;
    std::shared_ptr<const Image> init_image_;
    float guidance_scale_;
    bool guidance_;
    float guidance_rescale_;
    double guidance_start_;
    double guidance_end_;
    std::int64_t latent_height_;
    std::int64_t latent_width_;
    std::unique_ptr<Scheduler> scheduler_;
    std::unique_ptr<NoiseSource> noise_;
    std::vector<float> latents_;
};

// Values in 0..1 to 8 bits, rounded to nearest. Fails with kInternal if a value is not a number.
Image to_image(const std::vector<float>& values, int width, int height);

}  // namespace sdxl
