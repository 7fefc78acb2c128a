#include <utility>

#include "protocol/commands.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

BodyFields read_fields(const CommandInput& input, Report& report) {
    BodyFields fields;
    for (auto level = input.levels.rbegin(); level != input.levels.rend(); ++level)
        fields.fill_from(read_body(level->body, level->canonical, report), &report);
    return fields;
}

void warn_unused(const CommandInput& input, std::string_view list, std::string_view why, Report& report) {
    std::string pointer;
    if (find_list(input, list, pointer) != nullptr)
        report.warn(pointer, std::string("has no effect: ") + std::string(why));
}

// img2img and inpaint say what must be there.
void require_pictures(const CommandInput& input, const BodyFields& fields, Report& report) {
    if (input.envelope != EnvelopeKind::kMethod) return;
    const bool inpaint = same_name(input.reply.command, "inpaint");
    if (!inpaint && !same_name(input.reply.command, "img2img")) return;
    const std::string& pointer = input.levels.back().sent.pointer;
    if (!fields.init_image) report.missing("expected an initial image (init_image), found none", pointer);
    if (inpaint && !fields.mask_image) report.missing("expected a mask (mask_image), found none", pointer);
}

}  // namespace

void check_alone(const BodyFields& fields, Report& report) {
    if (fields.denoising_start && fields.denoising_start->value > 0)
        report.warn(fields.denoising_start->pointer,
                    "has no effect: no stage before this one left its latents");
    if (!fields.refiner && fields.denoising_end && fields.denoising_end->value < 1)
        report.error(
            ErrorCode::kInvalidRequest,
            "expected a refiner_model, or a stage behind this one, that takes the noise away which this "
            "leaves in the picture; found none",
            fields.denoising_end->pointer);
}

Command read_inference(const CommandInput& input, Report& report) {
    BodyFields fields = read_fields(input, report);
    std::string pointer;
    const bool has_stages = find_list(input, "stages", pointer) != nullptr;
    const bool has_requests = find_list(input, "requests", pointer) != nullptr;
    const auto type = innermost(input, report, [](const Members& members) { return members.text("type"); });
    // Who sends a list means it.
    std::string kind = has_stages ? "multi_stage" : (has_requests ? "batch" : "inference");
    if (type) kind = type->value;
    if (kind != "multi_stage") warn_unused(input, "stages", "type is '" + kind + "'", report);
    if (kind != "batch") warn_unused(input, "requests", "type is '" + kind + "'", report);
    if (kind == "multi_stage") return read_stages(input, fields, report);
    if (kind == "batch") return read_batch(input, fields, report);
    const auto size =
        innermost(input, report, [](const Members& members) { return members.integer("size"); });
    if (size)
        report.warn(size->pointer, "has no effect: type is 'inference'; batch_size says how many pictures");
    require_pictures(input, fields, report);
    GenerationRequest request = complete(fields, StartFrom::kNoise, input.levels.back().sent.pointer, report);
    check_alone(fields, report);
    request.id = input.reply.id;
    return request;
}

}  // namespace sdxl
