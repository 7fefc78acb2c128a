// The part of body_fields.h that knows ControlNets and reference images.
#include <utility>

#include "protocol/adapter_items.h"
#include "protocol/body_fields.h"

namespace sdxl {
namespace {

// `preprocessor` is its name, or an object that may leave the name to the control's type.
void read_preprocessor(const Members& item, ControlRequest& control) {
    if (const auto name = item.text("preprocessor")) control.preprocessor = name->value;
    const Members preprocessor = item.object("preprocessor");
    if (!is_enabled(preprocessor)) return;
    const auto type = preprocessor.text("type");
    const auto enabled = preprocessor.flag("enabled");
    if (type)
        control.preprocessor = type->value;
    else if (enabled)
        control.preprocessor = control.type;
    if (const auto side = preprocessor.integer("resolution"))
        control.resolution = static_cast<int>(side->value);
    if (const auto low = preprocessor.number("low_threshold")) control.low_threshold = low->value;
    if (const auto high = preprocessor.number("high_threshold")) control.high_threshold = high->value;
}

ControlRequest read_control(const Members& item, Report& report) {
    ControlRequest control;
    control.pointer = item.pointer();
    set_if(control.type, item.text("type"));
    set_if(control.model, item.text("model_path"));
    set_if(control.weight, item.number("weight"));
    set_if(control.start, item.number("guidance_start"));
    set_if(control.end, item.number("guidance_end"));
    set_if(control.guess_mode, item.flag("guess_mode"));
    set_if(control.return_image, item.flag("return_image"));
    if (const auto mode = item.text("resize_mode"))
        control.resize_mode = parse_resize_mode(mode->value).value_or(control.resize_mode);
    read_preprocessor(item, control);
    if (control.start > control.end)
        report.error(ErrorCode::kInvalidRequest,
                     "expected guidance_start at most guidance_end, found it above", item.pointer());
    if (control.type.empty() && control.model.empty())
        report.error(ErrorCode::kInvalidRequest, "expected a ControlNet's model_path or type, found neither",
                     item.pointer());
    const auto image = item.text("conditioning_image");
    if (image)
        control.image = read_image_field(*image, report);
    else if (!item.refused("conditioning_image"))
        report.error(ErrorCode::kInvalidRequest,
                     "expected a picture to steer by (conditioning_image), found none", item.pointer());
    return control;
}

bool alike(const ReferenceRequest& a, const ReferenceRequest& b) {
    return a.model == b.model && a.encoder == b.encoder && a.weight == b.weight && a.start == b.start &&
           a.end == b.end;
}

}  // namespace

std::optional<Field<std::vector<ControlRequest>>> read_controls(const Members& holder, const char* name,
                                                                Report& report) {
    const auto found =
        find_adapters(holder, name,
                      {"type", "model_path", "conditioning_image", "weight", "guidance_start", "guidance_end",
                       "guess_mode", "resize_mode", "return_image", "preprocessor"},
                      report);
    if (!found) return std::nullopt;
    std::vector<ControlRequest> controls;
    for (const Members::Item& item : found->items) controls.push_back(read_control(item.object, report));
    return as_field(std::move(controls));
}

std::optional<Field<std::vector<ReferenceRequest>>> read_references(const Members& holder, const char* name,
                                                                    Report& report) {
    const auto found = find_adapters(holder, name, {}, report);
    if (!found) return std::nullopt;
    std::vector<ReferenceRequest> references;
    for (const Members::Item& item : found->items) {
        ReferenceRequest reference;
        set_if(reference.model, item.object.text("model_path"));
        set_if(reference.encoder, item.object.text("image_encoder"));
        set_if(reference.weight, item.object.number("weight"));
        set_if(reference.start, item.object.number("guidance_start"));
        set_if(reference.end, item.object.number("guidance_end"));
        if (reference.start > reference.end)
            report.error(ErrorCode::kInvalidRequest,
                         "expected guidance_start at most guidance_end, found it above",
                         item.object.pointer());
        const auto image = item.text ? item.text : item.object.text("image");
        if (!image) {
            if (!item.object.refused("image"))
                report.error(ErrorCode::kInvalidRequest, "expected a reference picture (image), found none",
                             item.object.pointer());
            continue;
        }
        // Pictures that are taken up alike are one reference.
        if (!references.empty() && alike(references.back(), reference)) {
            references.back().images.push_back(read_image_field(*image, report));
            continue;
        }
        reference.pointer = item.object.pointer();
        reference.images.push_back(read_image_field(*image, report));
        references.push_back(std::move(reference));
    }
    return as_field(std::move(references));
}

}  // namespace sdxl
