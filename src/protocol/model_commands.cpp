#include <algorithm>
#include <iterator>

#include "protocol/commands.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::string_view kModelTypes[] = {"sdxl",
                                            "sdxl_base",
                                            "sdxl-base",
                                            "base",
                                            "checkpoint",
                                            "refiner",
                                            "sdxl_refiner",
                                            "sdxl-refiner",
                                            "inpaint",
                                            "sdxl_inpaint",
                                            "sdxl-inpaint",
                                            "diffusers",
                                            "stable_diffusion_xl",
                                            "stable-diffusion-xl",
                                            "model",
                                            "pipeline",
                                            "auto"};

std::optional<Field<std::string>> text(const CommandInput& input, Report& report, std::string_view name) {
    return innermost(input, report, [&](const Members& members) { return members.text(name); });
}

bool refused(const CommandInput& input, std::string_view name) {
    return std::any_of(input.levels.begin(), input.levels.end(),
                       [&](const Level& level) { return level.members().refused(name); });
}

}  // namespace

Command read_model_load(const CommandInput& input, Report& report) {
    ModelLoadRequest request;
    const auto model = text(input, report, "model_path");
    const auto id = text(input, report, "model_id");
    if (model || id)
        request.model = model ? model->value : id->value;
    else if (!refused(input, "model_path") && !refused(input, "model_id"))
        report.missing(
            "expected a model, found none; say in 'model_path' which one: a path, a name under the models "
            "folder, or a hub id",
            input.levels.back().sent.pointer);
    if (id) request.id = id->value;
    if (const auto type = text(input, report, "model_type")) {
        const bool known = std::any_of(std::begin(kModelTypes), std::end(kModelTypes),
                                       [&](std::string_view name) { return same_name(name, type->value); });
        if (!known)
            report.warn(type->pointer,
                        "is not a known model type and is ignored; the model's own metadata decides");
    }
    if (const auto part = text(input, report, "unet_model")) request.parts.unet = part->value;
    if (const auto part = text(input, report, "text_encoder_model")) request.parts.text_encoder = part->value;
    if (const auto part = text(input, report, "text_encoder_2_model"))
        request.parts.text_encoder_2 = part->value;
    if (const auto part = text(input, report, "tokenizer")) request.parts.tokenizer = part->value;
    if (const auto refiner = text(input, report, "model_refiner")) request.refiner = refiner->value;
    if (const auto vae = text(input, report, "model_vae")) request.vae = vae->value;
    if (const auto precision = text(input, report, "dtype"))
        request.precision = parse_precision(precision->value).value_or(request.precision);
    if (const auto device = text(input, report, "device")) request.device = read_device(*device, report);
    return request;
}

Command read_model_unload(const CommandInput& input, Report& report) {
    const auto model = text(input, report, "model_id");
    return ModelUnloadRequest{model ? model->value : ""};
}

Command read_model_info(const CommandInput& input, Report& report) {
    const auto model = text(input, report, "model_id");
    return ModelInfoRequest{model ? model->value : ""};
}

}  // namespace sdxl
