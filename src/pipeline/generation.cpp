#include "pipeline/generation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ops/layout.h"
#include "ops/ops.h"
#include "pipeline/latents.h"
#include "sampling/prediction.h"

namespace sdxl {
namespace {

constexpr std::int64_t kInpaintChannels = 9;  // latent, mask, masked picture's latent

// Steps of the schedule that lie before this part of the noise: diffusers cuts where timesteps fall below.
int steps_before(const Scheduler& scheduler, int steps, int train_timesteps, double part) {
    const double cutoff = std::round(train_timesteps * (1.0 - part));
    int count = 0;
    while (count < steps &&
           scheduler.timesteps()[static_cast<std::size_t>(scheduler.first_call(count))] >= cutoff)
        ++count;
    return count;
}

bool everywhere(std::span<const float> mask) {
    return std::all_of(mask.begin(), mask.end(), [](float value) { return value == 1.F; });
}

}  // namespace

SdxlGeneration::SdxlGeneration(const SdxlModel& model, const GenerationRequest& request, PictureInputs inputs,
                               std::uint64_t seed)
    : inputs_(std::move(inputs)),
      extra_channels_(model.unet->config().in_channels == kInpaintChannels),
      scales_{1, static_cast<float>(request.pag_scale), static_cast<float>(request.guidance_rescale)},
      guidance_start_(request.guidance_start),
      guidance_end_(request.guidance_end),
      free_u_(request.free_u),
      rng_(request.rng),
      seed_(seed),
      noise_(std::make_unique<CountedNoise>(request.rng, seed)),
      latents_{request.height / kPixelsPerLatent, request.width / kPixelsPerLatent, {}} {
    const SamplingPlan plan = plan_sampling(request, model);
    prediction_type_ = plan.config.prediction_type;
    guidance_ = plan.guidance();
    scales_.scale = static_cast<float>(plan.guidance_scale);
    scheduler_ = scheduler_of(plan, request);
    if (!inputs_.mask.empty()) {
        mask_ = latent_mask(inputs_.mask, request.height, request.width);
        if (everywhere(mask_)) mask_.clear();
    }
    choose_calls(plan, request);
}

// Which part of the schedule is made: diffusers, pipeline_stable_diffusion_xl_img2img.py, get_timesteps.
void SdxlGeneration::choose_calls(const SamplingPlan& plan, const GenerationRequest& request) {
    scheduled_calls_ = static_cast<int>(scheduler_->timesteps().size());
    const auto call_of = [&](int step) {
        return step == plan.steps ? scheduled_calls_ : scheduler_->first_call(step);
    };
    const int train = plan.config.num_train_timesteps;
    takes_up_ = inputs_.latents != nullptr && request.denoising_start > 0;
    int begin = 0;
    if (takes_up_) {
        begin = steps_before(*scheduler_, plan.steps, train, request.denoising_start);
    } else if (inputs_.image || inputs_.latents) {
        begin = plan.steps - std::min(static_cast<int>(plan.steps * request.strength), plan.steps);
    }
    int end = plan.steps;
    if (request.denoising_end < 1)
        end = std::max(begin, steps_before(*scheduler_, plan.steps, train, request.denoising_end));
    whole_noise_ =
        !takes_up_ && begin == 0 && ((!inputs_.image && !inputs_.latents) || request.strength >= 1);
    steps_ = end - begin;
    first_call_ = next_call_ = call_of(begin);
    last_call_ = call_of(end);
}

bool SdxlGeneration::prepare(const Context& ctx, const VaeModel& vae, const std::optional<TileSizes>& tiles,
                             std::optional<std::vector<float>> noise) {
    noise_ = std::make_unique<CountedNoise>(rng_, seed_);
    seen_.clear();
    if (!takes_up_) skip_draws();
    const int height = latents_.height * kPixelsPerLatent;
    const int width = latents_.width * kPixelsPerLatent;
    std::vector<float> image;
    // Draws come in diffusers' order: the picture's latents, the first noise, the masked picture's latents.
    const bool keeps_outside = !mask_.empty() && !extra_channels_;
    if (inputs_.image && (keeps_outside || (!whole_noise_ && !inputs_.latents)))
        image = vae.encode(ctx, to_values(*inputs_.image), height, width, *noise_, tiles).values;
    if (!all_finite(image)) return false;
    const auto size = static_cast<std::int64_t>(kLatentChannels) * latents_.height * latents_.width;
    first_noise_ = noise ? std::move(*noise) : noise_->normal(size);
    if (extra_channels_ && !encode_mask(ctx, vae, tiles)) return false;
    image_latents_ = keeps_outside ? image : std::vector<float>{};
    if (inputs_.latents) image = resize_latents(*inputs_.latents, latents_.height, latents_.width).values;
    latents_.values = start_from(image);
    if (!keeps_outside) first_noise_.clear();
    if (takes_up_) skip_draws();
    return true;
}

// What is made of a finished picture draws behind what was drawn for it: its own noise once more would leave
// marks. What takes up noise draws the same first noise as the pass before, and goes on where that one ended.
void SdxlGeneration::skip_draws() {
    const auto size = static_cast<std::int64_t>(kLatentChannels) * latents_.height * latents_.width;
    while (noise_->draws() < inputs_.draws) noise_->normal(size);
}

std::vector<float> SdxlGeneration::start_from(const std::vector<float>& image) const {
    if (takes_up_ || (!whole_noise_ && next_call_ == scheduled_calls_)) return image;
    if (!whole_noise_) return scheduler_->add_noise(image, first_noise_, first_call_);
    std::vector<float> scaled = first_noise_;
    for (float& value : scaled) value *= scheduler_->init_noise_sigma();
    return scaled;
}

// For an inpainting model: the mask, and the picture with grey in its place. Without a picture all of it is
// grey and redrawn.
bool SdxlGeneration::encode_mask(const Context& ctx, const VaeModel& vae,
                                 const std::optional<TileSizes>& tiles) {
    const int height = latents_.height * kPixelsPerLatent;
    const int width = latents_.width * kPixelsPerLatent;
    std::vector<float> masked(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3, 0.F);
    std::vector<float> mask(
        static_cast<std::size_t>(latents_.height) * static_cast<std::size_t>(latents_.width), 1.F);
    if (inputs_.image && !mask_.empty()) {
        mask = mask_;
        const std::vector<float> values = to_values(*inputs_.image);
        for (std::size_t i = 0; i < values.size(); ++i)
            if (inputs_.mask[i / 3] < 0.5F) masked[i] = values[i];
    }
    const Latents latents = vae.encode(ctx, masked, height, width, *noise_, tiles);
    if (!all_finite(latents.values)) return false;
    mask_channels_ = std::move(mask);
    mask_channels_.insert(mask_channels_.end(), latents.values.begin(), latents.values.end());
    return true;
}

// Guidance applies by the part of the calls that lie before and behind this one, as diffusers places
// ControlNets.
BatchParts SdxlGeneration::parts() const {
    const bool applies = part_before() >= guidance_start_ && part_behind() <= guidance_end_;
    return {applies && guidance_, applies && scales_.pag > 0};
}

std::vector<float> SdxlGeneration::model_input(bool with_mask) const {
    std::vector<float> input = scheduler_->scale_model_input(latents_.values, next_call_);
    if (with_mask) input.insert(input.end(), mask_channels_.begin(), mask_channels_.end());
    const std::int64_t channels = with_mask && extra_channels_ ? kInpaintChannels : kLatentChannels;
    return ops::nchw_to_nhwc(input, {1, channels, latents_.height, latents_.width});
}

// Control models see the latents alone, also beside a UNet that takes more. Their part of the schedule counts
// from the first call that is made, as in diffusers' image-to-image pipelines.
ControlResiduals SdxlGeneration::control(const Context& ctx, const Conditioning& conditioning,
                                         std::span<SdxlGeneration* const> generations,
                                         std::span<Control> controls) {
    const SdxlGeneration& first = *generations.front();
    const double scheduled = first.scheduled_calls_ - first.first_call_;
    const double before = (first.next_call_ - first.first_call_) / scheduled;
    const double behind = (first.next_call_ + 1 - first.first_call_) / scheduled;
    if (std::ranges::none_of(controls, [&](const Control& one) { return one.applies(before, behind); }))
        return {};
    ControlledCall call{{}, first.timestep(), first.parts(), static_cast<int>(generations.size())};
    const std::vector<float> batch = batch_of(generations, call.parts, /*with_mask=*/false);
    call.latent = ops::upload(ctx, batch,
                              {static_cast<std::int64_t>(call.parts.count()) * call.pictures,
                               first.latents_.height, first.latents_.width, kLatentChannels});
    return control_residuals(ctx, conditioning, controls, before, behind, call);
}

// What the networks take, each part for all pictures.
std::vector<float> SdxlGeneration::batch_of(std::span<SdxlGeneration* const> generations, BatchParts parts,
                                            bool with_mask) {
    std::vector<float> batch;
    for (int part = 0; part < parts.count(); ++part)
        for (const SdxlGeneration* generation : generations) {
            const auto input = generation->model_input(with_mask);
            batch.insert(batch.end(), input.begin(), input.end());
        }
    return batch;
}

void SdxlGeneration::apply(std::span<const float> prediction) {
    const auto output = ops::nhwc_to_nchw(prediction, {1, kLatentChannels, latents_.height, latents_.width});
    look(output);
    latents_.values = scheduler_->step(output, next_call_, latents_.values, *noise_);
    ++next_call_;
    if (!image_latents_.empty()) keep_outside();
}

void SdxlGeneration::look(std::span<const float> output) {
    constexpr float kLeast = 1e-4F;  // of the picture's part, where all is noise
    const float sigma = scheduler_->model_sigma(next_call_);
    const float alpha = std::max(1 / std::hypot(1.F, sigma), kLeast);
    const MixLevel level{alpha, std::sqrt(1 - alpha * alpha)};
    seen_ = predict_original_sample(prediction_type_, level, output,
                                    scheduler_->scale_model_input(latents_.values, next_call_));
}

Latents SdxlGeneration::seen() const {
    Latents seen = latents_;
    if (next_call_ == scheduled_calls_) return seen;
    seen.values = seen_.empty() ? scheduler_->scale_model_input(latents_.values, next_call_) : seen_;
    return seen;
}

// Outside the mask stands the picture, with as much noise as the next call expects.
void SdxlGeneration::keep_outside() {
    const std::vector<float> outside = next_call_ < scheduled_calls_
                                           ? scheduler_->add_noise(image_latents_, first_noise_, next_call_)
                                           : image_latents_;
    for (std::size_t i = 0; i < outside.size(); ++i)
        if (mask_[i % mask_.size()] == 0.F) latents_.values[i] = outside[i];
}

bool step_together(const Context& ctx, const SdxlModel& model, Conditioning& conditioning,
                   std::span<SdxlGeneration* const> generations, std::span<Control> controls) {
    const SdxlGeneration& first = *generations.front();
    const BatchParts parts = first.parts();
    const auto pictures = static_cast<int>(generations.size());
    const std::vector<float> batch = SdxlGeneration::batch_of(generations, parts, /*with_mask=*/true);
    const std::int64_t entries = static_cast<std::int64_t>(parts.count()) * pictures;
    const Tensor latent = ops::upload(
        ctx, batch, {entries, first.latents_.height, first.latents_.width, model.unet->config().in_channels});
    const std::vector<float> timesteps(static_cast<std::size_t>(entries), first.timestep());
    UNetOptions options;
    options.perturbed = parts.perturbed ? pictures : 0;
    options.image_scales = conditioning.image_scales(first.part_before(), first.part_behind());
    if (const auto& free_u = first.free_u_)
        options.free_u = {{{static_cast<float>(free_u->b1), static_cast<float>(free_u->s1)},
                           {static_cast<float>(free_u->b2), static_cast<float>(free_u->s2)}}};
    options.control = SdxlGeneration::control(ctx, conditioning, generations, controls);
    const UNetInput input = model.unet->input(ctx, latent, timesteps, first.scales_.scale);
    const UNetConditioning& made = conditioning.for_batch(ctx, model, parts, pictures);
    const auto predicted =
        ops::download(ctx, model.recorder ? model.recorder->forward(ctx, input, made, options)
                                          : model.unet->forward(ctx, input, made, options));
    if (!all_finite(predicted)) return false;
    const std::size_t size = predicted.size() / static_cast<std::size_t>(entries);
    const auto prediction_of = [&](int part, int picture) {
        return std::span(predicted).subspan(static_cast<std::size_t>(part * pictures + picture) * size, size);
    };
    for (int i = 0; i < pictures; ++i) {
        const int prompt = parts.negative ? 1 : 0;
        generations[static_cast<std::size_t>(i)]->apply(
            guide(parts.negative ? prediction_of(0, i) : std::span<const float>{}, prediction_of(prompt, i),
                  parts.perturbed ? prediction_of(prompt + 1, i) : std::span<const float>{}, first.scales_));
    }
    return true;
}

}  // namespace sdxl
