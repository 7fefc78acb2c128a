#include "pipeline/generation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "ops/layout.h"
#include "ops/ops.h"
#include "sampling/scheduler_registry.h"

namespace sdxl {
namespace {

constexpr std::int64_t kLatentChannels = 4;
constexpr std::int64_t kPixelsPerLatent = 8;

void require_finite(const std::vector<float>& values, const char* where) {
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
        fail(ErrorCode::kInternal, std::string(where) +
                                       " is not a number everywhere: the weights may be broken, or ask for "
                                       "precision float32");
}

// Original size, crop and target size, as the UNet was trained with them.
std::vector<float> time_ids_of(const SizeConditioning& sizes, const GenerationRequest& request) {
    const std::array<int, 2> own{request.height, request.width};
    std::vector<float> ids;
    for (const auto& pair : {sizes.original == std::array<int, 2>{} ? own : sizes.original, sizes.crop,
                             sizes.target == std::array<int, 2>{} ? own : sizes.target})
        for (const int value : pair) ids.push_back(static_cast<float>(value));
    return ids;
}

// Of a batch of two, the second entry.
Tensor second_half(const Context& ctx, const Tensor& both) {
    std::vector<float> values = ops::download(ctx, both);
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    std::vector<std::int64_t> shape = both.shape().dims();
    shape[0] = 1;
    return ops::upload(ctx, values, Shape(shape));
}

double standard_deviation(std::span<const float> values) {
    double sum = 0;
    double squares = 0;
    for (const float value : values) {
        sum += value;
        squares += static_cast<double>(value) * value;
    }
    const auto count = static_cast<double>(values.size());
    return std::sqrt(std::max(0.0, (squares - sum * sum / count) / (count - 1)));
}

// Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", section 3.4: brings the
// guided prediction back to the spread of the prompt's own, as far as `rescale` says.
void rescale_guidance(std::span<float> guided, std::span<const float> prompt, float rescale) {
    const double spread = standard_deviation(guided);
    if (rescale == 0 || spread == 0) return;
    const auto factor = static_cast<float>(rescale * standard_deviation(prompt) / spread + (1.0 - rescale));
    for (float& value : guided) value *= factor;
}

}  // namespace

SamplingPlan plan_sampling(const GenerationRequest& request, const SdxlModel& model) {
    SamplingPlan plan{request.scheduler.value_or(model.scheduler.type), model.scheduler.config};
    if (request.sigma_schedule) {
        plan.config.sigma_schedule = *request.sigma_schedule;
        plan.config.use_karras_sigmas = *request.sigma_schedule == SigmaSchedule::kKarras;
    }
    if (request.timestep_spacing) plan.config.timestep_spacing = request.timestep_spacing;
    return plan;
}

Conditioning make_conditioning(const Context& ctx, const SdxlModel& model, const GenerationRequest& request) {
    const bool guidance = request.guidance_scale > 1.0;
    PromptEmbeddings prompt = encode_prompt(ctx, model, request, guidance);
    const std::vector<float> positive = time_ids_of(request.sizes, request);
    std::vector<float> time_ids = guidance ? time_ids_of(request.negative_sizes, request) : positive;
    if (guidance) time_ids.insert(time_ids.end(), positive.begin(), positive.end());
    Conditioning conditioning{model.unet->prepare_conditioning(ctx, prompt.context, prompt.pooled, time_ids),
                              {},
                              prompt.weighted,
                              std::move(prompt.warnings)};
    if (guidance && (request.guidance_start > 0 || request.guidance_end < 1))
        conditioning.unet_alone = model.unet->prepare_conditioning(ctx, second_half(ctx, prompt.context),
                                                                   second_half(ctx, prompt.pooled), positive);
    return conditioning;
}

SdxlGeneration::SdxlGeneration(const SdxlModel& model, const GenerationRequest& request, std::uint64_t seed)
    : init_image_(request.init_image),
      guidance_scale_(static_cast<float>(request.guidance_scale)),
      guidance_(request.guidance_scale > 1.0),
      guidance_rescale_(static_cast<float>(request.guidance_rescale)),
      guidance_start_(request.guidance_start),
      guidance_end_(request.guidance_end),
      latent_height_(request.height / kPixelsPerLatent),
      latent_width_(request.width / kPixelsPerLatent),
      noise_(make_noise_source(request.rng, seed)) {
    const SamplingPlan plan = plan_sampling(request, model);
    scheduler_ = make_scheduler(plan.type, plan.config);
    const bool listed = !request.timesteps.empty() || !request.sigmas.empty();
    scheduler_->set_timesteps(
        {.steps = listed ? 0 : request.steps, .timesteps = request.timesteps, .sigmas = request.sigmas});
    last_call_ = static_cast<int>(scheduler_->timesteps().size());
    if (!init_image_) return;
    if (init_image_->width != request.width || init_image_->height != request.height)
        fail(ErrorCode::kUnsupported,
             "the initial image has " + std::to_string(init_image_->width) + " x " +
                 std::to_string(init_image_->height) + " pixels and the picture is to have " +
                 std::to_string(request.width) + " x " + std::to_string(request.height) +
                 ": this worker does not resize yet; ask for the image's size");
    // diffusers, pipeline_stable_diffusion_xl_img2img.py, get_timesteps
    skipped_steps_ =
        request.steps - std::min(static_cast<int>(request.steps * request.strength), request.steps);
    first_call_ = skipped_steps_ == request.steps ? last_call_ : scheduler_->first_call(skipped_steps_);
    next_call_ = first_call_;
}

// A sample of the image's latent distribution, scaled.
std::vector<float> SdxlGeneration::encode_image(const Context& ctx, const SdxlModel& model) {
    std::vector<float> pixels(init_image_->pixels.size());
    std::transform(init_image_->pixels.begin(), init_image_->pixels.end(), pixels.begin(),
                   [](std::uint8_t value) { return static_cast<float>(value) / 127.5F - 1.F; });
    const Tensor image = ops::upload(ctx, pixels, {1, init_image_->height, init_image_->width, 3});
    const LatentDistribution distribution = model.vae->encode(ctx, image);
    const ops::PictureExtents extents{1, kLatentChannels, latent_height_, latent_width_};
    std::vector<float> latents = ops::nhwc_to_nchw(distribution.mean, extents);
    const std::vector<float> logvar = ops::nhwc_to_nchw(distribution.logvar, extents);
    const std::vector<float> noise = noise_->normal(static_cast<std::int64_t>(latents.size()));
    for (std::size_t i = 0; i < latents.size(); ++i)
        latents[i] =
            (latents[i] + std::exp(0.5F * logvar[i]) * noise[i]) * model.vae->config().scaling_factor;
    return latents;
}

void SdxlGeneration::prepare(const Context& ctx, const SdxlModel& model,
                             std::optional<std::vector<float>> noise) {
    const std::vector<float> image = init_image_ ? encode_image(ctx, model) : std::vector<float>{};
    latents_ = noise ? std::move(*noise) : noise_->normal(kLatentChannels * latent_height_ * latent_width_);
    if (init_image_) {
        latents_ = done() ? image : scheduler_->add_noise(image, latents_, first_call_);
        return;
    }
    const float sigma = scheduler_->init_noise_sigma();
    for (float& value : latents_) value *= sigma;
}

// By the part of the calls that lie before and behind this one, as diffusers places ControlNets.
bool SdxlGeneration::guidance_applies() const {
    const double before = static_cast<double>(next_call_) / last_call_;
    const double behind = static_cast<double>(next_call_ + 1) / last_call_;
    return guidance_ && before >= guidance_start_ && behind <= guidance_end_;
}

std::vector<float> SdxlGeneration::predict_noise(const Context& ctx, const SdxlModel& model,
                                                 const Conditioning& conditioning,
                                                 const std::vector<float>& input) const {
    const bool guided = guidance_applies();
    const std::int64_t halves = guided ? 2 : 1;
    const ops::PictureExtents extents{1, kLatentChannels, latent_height_, latent_width_};
    const std::vector<float> pixels = ops::nchw_to_nhwc(input, extents);
    std::vector<float> batch;
    for (std::int64_t half = 0; half < halves; ++half)
        batch.insert(batch.end(), pixels.begin(), pixels.end());
    const Tensor latent = ops::upload(ctx, batch, {halves, latent_height_, latent_width_, kLatentChannels});
    const std::vector<float> timesteps(static_cast<std::size_t>(halves),
                                       scheduler_->timesteps()[static_cast<std::size_t>(next_call_)]);
    std::vector<float> predicted = ops::download(
        ctx, model.unet->forward(ctx, latent, timesteps,
                                 guidance_ && !guided ? conditioning.unet_alone.value() : conditioning.unet));
    if (guided) {
        // Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022; the first half is the negative
        // prompt's.
        const std::size_t count = predicted.size() / 2;
        for (std::size_t i = 0; i < count; ++i)
            predicted[i] += guidance_scale_ * (predicted[count + i] - predicted[i]);
        const std::span<float> all(predicted);
        rescale_guidance(all.first(count), all.last(count), guidance_rescale_);
        predicted.resize(count);
    }
    return ops::nhwc_to_nchw(predicted, extents);
}

void SdxlGeneration::step(const Context& ctx, const SdxlModel& model, const Conditioning& conditioning) {
    const std::vector<float> input = scheduler_->scale_model_input(latents_, next_call_);
    const std::vector<float> predicted = predict_noise(ctx, model, conditioning, input);
    latents_ = scheduler_->step(predicted, next_call_, latents_, *noise_);
    ++next_call_;
}

std::vector<float> SdxlGeneration::finish(const Context& ctx, const SdxlModel& model) const {
    require_finite(latents_, "the latent picture");
    const ops::PictureExtents extents{1, kLatentChannels, latent_height_, latent_width_};
    std::vector<float> scaled = ops::nchw_to_nhwc(latents_, extents);
    for (float& value : scaled) value /= model.vae->config().scaling_factor;
    const Tensor latent = ops::upload(ctx, scaled, {1, latent_height_, latent_width_, kLatentChannels});
    std::vector<float> pixels = ops::download(ctx, model.vae->decode(ctx, latent));  // [1, H, W, 3] in -1..1
    require_finite(pixels, "the decoded picture");
    for (float& value : pixels) value = std::clamp(value / 2.F + 0.5F, 0.F, 1.F);
    return pixels;
}

Image to_image(const std::vector<float>& values, int width, int height) {
    Image image{width, height, 3, std::vector<std::uint8_t>(values.size())};
    std::transform(values.begin(), values.end(), image.pixels.begin(),
                   [](float value) { return static_cast<std::uint8_t>(std::lround(value * 255.F)); });
    return image;
}

}  // namespace sdxl
