#include "protocol/body_fields.h"

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

template <class T, class U>
void set(T& target, const std::optional<Field<U>>& field) {
    if (field) target = static_cast<T>(field->value);
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
    if (fields.timestep_spacing)
        request.timestep_spacing = parse_timestep_spacing(fields.timestep_spacing->value);
    if (fields.rng) request.rng = parse_rng(fields.rng->value).value_or(request.rng);
}

void set_strength(const BodyFields& fields, StartFrom start, GenerationRequest& request, Report& report) {
    if (!fields.strength) return;
    if (start == StartFrom::kPicture)
        request.strength = fields.strength->value;
    else if (fields.strength->value < 1)
        report.warn(fields.strength->pointer, "has no effect: there is no initial image");
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
    fill(model, others.model, report);
    fill(width, others.width, report);
    fill(height, others.height, report);
    fill(steps, others.steps, report);
    fill(guidance_scale, others.guidance_scale, report);
    fill(seed, others.seed, report);
    fill(batch_size, others.batch_size, report);
    fill(scheduler, others.scheduler, report);
    fill(karras_sigmas, others.karras_sigmas, report);
    fill(timestep_spacing, others.timestep_spacing, report);
    fill(rng, others.rng, report);
    fill(strength, others.strength, report);
    fill(precision, others.precision, report);
    fill(device, others.device, report);
    fill(format, others.format, report);
    fill(save_path, others.save_path, report);
    fill(return_image_data, others.return_image_data, report);
    prompt_refused = prompt_refused || others.prompt_refused;
}

GenerationRequest complete(const BodyFields& fields, StartFrom start, const std::string& pointer,
                           Report& report) {
    GenerationRequest request;
    if (!fields.prompt && !fields.prompt_refused)
        report.missing("expected a prompt, found none; say in 'prompt' what to draw", pointer);
    set(request.prompt, fields.prompt);
    set(request.negative_prompt, fields.negative_prompt);
    set(request.model, fields.model);
    set(request.width, fields.width);
    set(request.height, fields.height);
    set(request.steps, fields.steps);
    set(request.guidance_scale, fields.guidance_scale);
    set(request.batch_size, fields.batch_size);
    set(request.save_path, fields.save_path);
    set(request.return_image_data, fields.return_image_data);
    request.seed = seed_or_drawn(fields);
    set_sampling(fields, request, report);
    set_strength(fields, start, request, report);
    if (fields.precision)
        request.precision = parse_precision(fields.precision->value).value_or(request.precision);
    if (fields.format) request.format = parse_image_format(fields.format->value).value_or(request.format);
    if (fields.device) check_device(*fields.device, report);
    return request;
}

}  // namespace sdxl
