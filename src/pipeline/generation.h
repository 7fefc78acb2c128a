// SdxlGeneration: one picture being made, resumable between steps.
//
// prepare(), then step_together() while calls are left; latents() is then what the VAE decodes or another
// model goes on with. The state between calls is a few host arrays; nothing of it lives in the model, so
// generations can take turns, the model may be unloaded and loaded again between two steps, and a picture
// does not depend on what ran beside it. Errors: Failure; kCancelled and kDeadlineExceeded within one op of
// the token being raised.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "image/image.h"
#include "ops/context.h"
#include "pipeline/conditioning.h"
#include "pipeline/control.h"
#include "pipeline/guidance.h"
#include "pipeline/sampling_plan.h"
#include "pipeline/sdxl_model.h"
#include "pipeline/vae_model.h"
#include "request/generation.h"
#include "sampling/random.h"
#include "sampling/scheduler.h"

namespace sdxl {

// What a picture starts from, brought to its size.
struct PictureInputs {
    std::shared_ptr<const Image> image;  // null: none
    std::vector<float> mask;             // [height, width], 1 where the picture is redrawn; empty: everywhere
    std::shared_ptr<const Latents> latents;  // of another model or stage, of any size; null: none
};

class SdxlGeneration {
  public:
    // `request` has its final size. Every call is given the same model (or the same one loaded again).
    SdxlGeneration(const SdxlModel& model, const GenerationRequest& request, PictureInputs inputs,
                   std::uint64_t seed);

    // Encodes what it starts from and draws the first noise, or takes `noise` [4, h, w] (standard normal).
    // False if the VAE's result is not a number; it may be called again then, with another VAE.
    bool prepare(const Context& ctx, const VaeModel& vae,
                 const std::optional<TileSizes>& tiles = std::nullopt,
                 std::optional<std::vector<float>> noise = std::nullopt);

    bool done() const { return next_call_ == last_call_; }
    // Passes through the model: some schedulers make more than one in a step.
    int calls_done() const { return next_call_ - first_call_; }
    int calls() const { return last_call_ - first_call_; }
    int steps() const { return steps_; }
    const Latents& latents() const { return latents_; }

  private:
    friend bool step_together(const Context& ctx, const SdxlModel& model, Conditioning& conditioning,
                              std::span<SdxlGeneration* const> generations, std::span<Control> controls);

    void choose_calls(const SamplingPlan& plan, const GenerationRequest& request);
    bool encode_mask(const Context& ctx, const VaeModel& vae, const std::optional<TileSizes>& tiles);
    std::vector<float> start_from(const std::vector<float>& image) const;
    // The parts of all calls that end before the next one and with it.
    double part_before() const { return static_cast<double>(next_call_) / scheduled_calls_; }
    double part_behind() const { return static_cast<double>(next_call_ + 1) / scheduled_calls_; }
    BatchParts parts() const;
    float timestep() const { return scheduler_->timesteps()[static_cast<std::size_t>(next_call_)]; }
    std::vector<float> model_input(bool with_mask) const;  // [h, w, channels of the UNet, or the latents' 4]
    static std::vector<float> batch_of(std::span<SdxlGeneration* const> generations, BatchParts parts,
                                       bool with_mask);
    // What control models add to the next call.
    static ControlResiduals control(const Context& ctx, const Conditioning& conditioning,
                                    std::span<SdxlGeneration* const> generations,
                                    std::span<Control> controls);
    void apply(std::span<const float> prediction);
    void keep_outside();

    PictureInputs inputs_;
    bool whole_noise_ = true;      // starts from noise alone
    bool takes_up_ = false;        // goes on with latents that have noise already
    bool extra_channels_ = false;  // the UNet takes mask and masked picture beside the latents
    int steps_ = 0;
    int first_call_ = 0;  // of the scheduler
    int next_call_ = 0;
    int last_call_ = 0;
    int scheduled_calls_ = 0;
    bool guidance_;
    GuidanceScales scales_;
    double guidance_start_;
    double guidance_end_;
    std::optional<FreeUFactors> free_u_;
    RngKind rng_;
    std::uint64_t seed_;
    std::unique_ptr<Scheduler> scheduler_;
    std::unique_ptr<NoiseSource> noise_;
    Latents latents_;
    std::vector<float> mask_;           // [h, w], by latent; empty without a mask
    std::vector<float> image_latents_;  // for what the mask leaves alone
    std::vector<float> first_noise_;    //
    std::vector<float> mask_channels_;  // [5, h, w], for a UNet that takes them
};

// One call of the model for several pictures of one request that are at the same call, and one of each
// picture's scheduler. `controls` are the request's, the same in every call. False if the prediction is not a
// number everywhere; no picture has moved then. REQUIRES: at least one; none is done.
bool step_together(const Context& ctx, const SdxlModel& model, Conditioning& conditioning,
                   std::span<SdxlGeneration* const> generations, std::span<Control> controls = {});

}  // namespace sdxl
