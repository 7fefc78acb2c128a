#include "protocol/body_fields.h"

#include <algorithm>
#include <array>
#include <functional>
#include <random>

namespace sdxl {
namespace {

constexpr int kMostPictures = 64;

template <class T>
void fill(std::optional<Field<T>>& mine, const std::optional<Field<T>>& other, Report* report) {
    if (!other) return;
    if (!mine) {
        mine = other;
    } else if (report != nullptr && mine->value != other->value) {
        report->warn(other->pointer, "is ignored, because " + mine->pointer + " is set");
    }
}

// Field by field.
void fill(std::vector<SchedulerOption>& mine, const std::vector<SchedulerOption>& others, Report* report) {
    for (const SchedulerOption& other : others) {
        const auto same = std::find_if(mine.begin(), mine.end(), [&](const SchedulerOption& option) {
            return option.name == other.name;
        });
        if (same == mine.end())
            mine.push_back(other);
        else if (report != nullptr && same->value != other.value)
            report->warn(other.pointer, "is ignored, because " + same->pointer + " is set");
    }
}

template <class T, class U>
void set(T& target, const std::optional<Field<U>>& field) {
    if (field) target = static_cast<T>(field->value);
}

// Says that fields change nothing here.
template <class... Fields>
void warn_unused(Report& report, const char* why, const Fields&... fields) {
    const auto one = [&](const auto& field) {
        if (field) report.warn(field->pointer, std::string("has no effect: ") + why);
    };
    (one(fields), ...);
}

// A word for the noise levels of its own goes before the last one of the scheduler's name.
void set_sigma_schedule(const BodyFields& fields, GenerationRequest& request, Report& report) {
    const auto& word = fields.sigma_schedule;
    const auto asked = word ? parse_sigma_schedule(word->value) : std::nullopt;
    if (!asked) return;
    if (request.sigma_schedule && *request.sigma_schedule != *asked)
        report.warn(fields.scheduler ? fields.scheduler->pointer : word->pointer,
                    "says " + std::string(sigma_schedule_title(*request.sigma_schedule)) +
                        ", which is ignored, because " + word->pointer + " is set");
    request.sigma_schedule = asked;
}

// A list of one's own says how many steps there are, and where.
void set_list(const BodyFields& fields, GenerationRequest& request, Report& report) {
    if (fields.timesteps && fields.sigmas)
        report.error(ErrorCode::kInvalidRequest,
                     "expected timesteps or sigmas, found both; leave one of them out",
                     fields.sigmas->pointer);
    const auto& list = fields.timesteps ? fields.timesteps : fields.sigmas;
    if (!list) return;
    (fields.timesteps ? request.timesteps : request.sigmas) = list->value;
    auto count = list->value.size();
    if (!fields.timesteps && list->value.back() == 0) --count;
    if (count == 0)
        report.error(ErrorCode::kInvalidRequest, "expected noise levels above 0, found none", list->pointer);
    const auto rise = std::adjacent_find(list->value.begin(), list->value.end(), std::less_equal<>());
    if (rise != list->value.end())
        report.error(ErrorCode::kInvalidRequest,
                     "expected values that fall, found one at place " +
                         std::to_string(rise - list->value.begin() + 1) +
                         " that is not below the one before it",
                     list->pointer);
    request.steps = static_cast<int>(count);
    const auto loses = [&](const auto& field) {
        if (field) report.warn(field->pointer, "is ignored, because " + list->pointer + " is set");
    };
    if (fields.steps && fields.steps->value != static_cast<std::int64_t>(count)) loses(fields.steps);
    loses(fields.timestep_spacing);
    loses(fields.sigma_schedule);
    if (fields.karras_sigmas && fields.karras_sigmas->value) loses(fields.karras_sigmas);
}

void set_guidance(const BodyFields& fields, GenerationRequest& request, Report& report) {
    set(request.guidance_rescale, fields.guidance_rescale);
    set(request.guidance_start, fields.guidance_start);
    set(request.guidance_end, fields.guidance_end);
    if (request.guidance_start > request.guidance_end)
        report.error(ErrorCode::kInvalidRequest,
                     "expected guidance_start at most guidance_end, found it above",
                     (fields.guidance_start ? fields.guidance_start : fields.guidance_end)->pointer);
    set(request.pag_scale, fields.pag_scale);
    if (fields.free_u) request.free_u = fields.free_u->value;
    if (request.guidance_scale.value_or(2) > 1 || request.pag_scale > 0) return;
    warn_unused(report, "a guidance_scale of at most 1 is no guidance", fields.guidance_rescale,
                fields.guidance_start, fields.guidance_end);
}

void set_pair(std::array<int, 2>& pair, const std::optional<Field<std::vector<double>>>& field) {
    if (field && field->value.size() == 2)
        pair = {static_cast<int>(field->value[0]), static_cast<int>(field->value[1])};
}

void set_sizes(const BodyFields& fields, GenerationRequest& request) {
    // Zeros are the picture's own.
    set_pair(request.sizes.original, fields.original_size);
    set_pair(request.sizes.crop, fields.crop);
    set_pair(request.sizes.target, fields.target_size);
    request.negative_sizes = request.sizes;
    set_pair(request.negative_sizes.original, fields.negative_original_size);
    set_pair(request.negative_sizes.crop, fields.negative_crop);
    set_pair(request.negative_sizes.target, fields.negative_target_size);
}

void set_sampling(const BodyFields& fields, GenerationRequest& request, Report& report) {
    if (fields.scheduler) {
        if (const auto choice = read_scheduler(*fields.scheduler, report)) {
            request.scheduler = choice->type;
            request.sigma_schedule = choice->sigmas;
        }
    }
    if (const auto& karras = fields.karras_sigmas) {
        // Hosts serialize false for a switch that nobody touched; the name of the scheduler was chosen.
        const SigmaSchedule asked = karras->value ? SigmaSchedule::kKarras : SigmaSchedule::kPlain;
        const SigmaSchedule named = request.sigma_schedule.value_or(asked);
        if (named != asked && (karras->value || named == SigmaSchedule::kKarras))
            report.warn(karras->pointer, "is ignored, because the scheduler's name says " +
                                             std::string(sigma_schedule_title(named)));
        request.sigma_schedule = named;
    }
    request.scheduler_options = fields.scheduler_options;
    set_sigma_schedule(fields, request, report);
    set_list(fields, request, report);
    if (fields.timestep_spacing && request.timesteps.empty() && request.sigmas.empty())
        request.timestep_spacing = parse_timestep_spacing(fields.timestep_spacing->value);
    if (fields.rng) request.rng = parse_rng(fields.rng->value).value_or(request.rng);
}

// The initial image, the mask, and how much of it is redrawn.
void set_picture(const BodyFields& fields, StartFrom start, GenerationRequest& request, Report& report) {
    constexpr double kDefaultStrength = 0.8;
    const bool from_stage = start == StartFrom::kStage;
    if (fields.init_image) request.init_image = read_image_field(*fields.init_image, report);
    if (fields.mask_image) request.mask_image = read_image_field(*fields.mask_image, report);
    const bool starts = fields.init_image || from_stage;
    if (fields.mask_image && !starts)
        report.error(ErrorCode::kInvalidRequest,
                     "expected an initial image (init_image) beside the mask, found none",
                     fields.mask_image->pointer);
    set(request.mask_blur, fields.mask_blur);
    if (fields.resize_mode)
        request.resize_mode = parse_resize_mode(fields.resize_mode->value).value_or(request.resize_mode);
    request.size_of_image = starts && !fields.width && !fields.height;
    request.width_of_model = !fields.width && !request.size_of_image;
    request.height_of_model = !fields.height && !request.size_of_image;
    if (starts)
        request.strength = fields.strength     ? fields.strength->value
                           : fields.mask_image ? 1.0
                                               : kDefaultStrength;
    else if (fields.strength && fields.strength->value < 1)
        warn_unused(report, "there is no initial image", fields.strength);
    if (!fields.mask_image && fields.mask_blur && fields.mask_blur->value > 0)
        warn_unused(report, "there is no mask", fields.mask_blur);
    if (!starts) warn_unused(report, "there is no initial image", fields.resize_mode);
}

void set_models(const BodyFields& fields, GenerationRequest& request, Report& report) {
    set(request.model, fields.model);
    set(request.parts.unet, fields.unet);
    set(request.parts.text_encoder, fields.text_encoder);
    set(request.parts.text_encoder_2, fields.text_encoder_2);
    set(request.parts.tokenizer, fields.tokenizer);
    set(request.vae, fields.vae);
    set(request.aesthetic_score, fields.aesthetic_score);
    set(request.negative_aesthetic_score, fields.negative_aesthetic_score);
    if (!fields.refiner) {
        warn_unused(report, "there is no refiner", fields.refiner_strength);
        set(request.denoising_start, fields.denoising_start);
        set(request.denoising_end, fields.denoising_end);
        return;
    }
    RefinerRequest refiner;
    refiner.model = fields.refiner->value;
    set(refiner.switch_at, fields.denoising_end);
    if (fields.refiner_strength) {
        refiner.strength = fields.refiner_strength->value;
        warn_unused(report, "refiner_strength makes the refiner a pass of its own", fields.denoising_end);
    }
    set(request.denoising_start, fields.denoising_start);
    request.refiner = std::move(refiner);
}

// A word for the format goes before the end of the file's name.
void set_format(const BodyFields& fields, GenerationRequest& request, Report& report) {
    const auto dot = request.save_path.find_last_of('.');
    const std::string ending = dot == std::string::npos ? "" : request.save_path.substr(dot + 1);
    const bool known = parse_image_format(ending).has_value();
    const ImageFormat of_ending = parse_image_format(ending).value_or(request.format);
    request.format = of_ending;
    if (fields.format) {
        request.format = parse_image_format(fields.format->value).value_or(request.format);
        if (known && of_ending != request.format)
            report.warn(fields.save_path->pointer, "ends like another format; the file is written as " +
                                                       std::string(image_format_name(request.format)));
    }
    if (!fields.quality || fields.quality->value == 0) return;
    request.quality = static_cast<int>(fields.quality->value);
    if (request.format == ImageFormat::kPng) warn_unused(report, "png is lossless", fields.quality);
}

// One that was sent, or a drawn one, which fits an int32 together with those of a whole batch.
std::uint64_t seed_or_drawn(const BodyFields& fields) {
    if (fields.seed && fields.seed->value >= 0) return static_cast<std::uint64_t>(fields.seed->value);
    std::random_device device;
    return std::uniform_int_distribution<std::uint64_t>(0, INT32_MAX - kMostPictures)(device);
}

}  // namespace

void BodyFields::fill_from(const BodyFields& others, Report* report) {
    fill(prompt, others.prompt, report);
    fill(negative_prompt, others.negative_prompt, report);
    fill(prompt_2, others.prompt_2, report);
    fill(negative_prompt_2, others.negative_prompt_2, report);
    fill(prompt_weighting, others.prompt_weighting, report);
    fill(clip_skip, others.clip_skip, report);
    fill(model, others.model, report);
    fill(vae, others.vae, report);
    fill(unet, others.unet, report);
    fill(text_encoder, others.text_encoder, report);
    fill(text_encoder_2, others.text_encoder_2, report);
    fill(tokenizer, others.tokenizer, report);
    fill(refiner, others.refiner, report);
    fill(refiner_strength, others.refiner_strength, report);
    fill(denoising_start, others.denoising_start, report);
    fill(denoising_end, others.denoising_end, report);
    fill(aesthetic_score, others.aesthetic_score, report);
    fill(negative_aesthetic_score, others.negative_aesthetic_score, report);
    fill(init_image, others.init_image, report);
    fill(mask_image, others.mask_image, report);
    fill(mask_blur, others.mask_blur, report);
    fill(resize_mode, others.resize_mode, report);
    fill(pag_scale, others.pag_scale, report);
    fill(free_u, others.free_u, report);
    fill_memory(memory, others.memory, report);
    fill(width, others.width, report);
    fill(height, others.height, report);
    fill(steps, others.steps, report);
    fill(guidance_scale, others.guidance_scale, report);
    fill(seed, others.seed, report);
    fill(batch_size, others.batch_size, report);
    fill(scheduler, others.scheduler, report);
    fill(karras_sigmas, others.karras_sigmas, report);
    fill(sigma_schedule, others.sigma_schedule, report);
    fill(timestep_spacing, others.timestep_spacing, report);
    fill(scheduler_options, others.scheduler_options, report);
    fill(timesteps, others.timesteps, report);
    fill(sigmas, others.sigmas, report);
    fill(guidance_rescale, others.guidance_rescale, report);
    fill(guidance_start, others.guidance_start, report);
    fill(guidance_end, others.guidance_end, report);
    fill(original_size, others.original_size, report);
    fill(crop, others.crop, report);
    fill(target_size, others.target_size, report);
    fill(negative_original_size, others.negative_original_size, report);
    fill(negative_crop, others.negative_crop, report);
    fill(negative_target_size, others.negative_target_size, report);
    fill(rng, others.rng, report);
    fill(strength, others.strength, report);
    fill(precision, others.precision, report);
    fill(device, others.device, report);
    fill(format, others.format, report);
    fill(quality, others.quality, report);
    fill(save_path, others.save_path, report);
    fill(return_image_data, others.return_image_data, report);
    fill(loras, others.loras, report);
    fill(embeddings, others.embeddings, report);
    fill(controls, others.controls, report);
    fill(references, others.references, report);
    prompt_refused = prompt_refused || others.prompt_refused;
}

GenerationRequest complete(const BodyFields& fields, StartFrom start, const std::string& pointer,
                           Report& report) {
    GenerationRequest request;
    if (!fields.prompt && !fields.prompt_refused)
        report.missing("expected a prompt, found none; say in 'prompt' what to draw", pointer);
    set(request.prompt, fields.prompt);
    set(request.negative_prompt, fields.negative_prompt);
    set(request.prompt_2, fields.prompt_2);
    set(request.negative_prompt_2, fields.negative_prompt_2);
    set(request.prompt_weighting, fields.prompt_weighting);
    set(request.clip_skip, fields.clip_skip);
    set(request.width, fields.width);
    set(request.height, fields.height);
    if (fields.steps) request.steps = static_cast<int>(fields.steps->value);
    if (fields.guidance_scale) request.guidance_scale = fields.guidance_scale->value;
    request.memory = memory_wishes(fields.memory);
    set_models(fields, request, report);
    if (fields.loras) request.loras = fields.loras->value;
    if (fields.embeddings) request.embeddings = fields.embeddings->value;
    if (fields.controls) request.controls = fields.controls->value;
    if (fields.references) request.references = fields.references->value;
    take_lora_tags(fields, request, report);
    set(request.batch_size, fields.batch_size);
    set(request.save_path, fields.save_path);
    set(request.return_image_data, fields.return_image_data);
    request.seed = seed_or_drawn(fields);
    set_sampling(fields, request, report);
    set_picture(fields, start, request, report);
    set_guidance(fields, request, report);
    set_sizes(fields, request);
    if (fields.precision)
        request.precision = parse_precision(fields.precision->value).value_or(request.precision);
    set_format(fields, request, report);
    if (fields.device) request.device = read_device(*fields.device, report);
    return request;
}

}  // namespace sdxl
