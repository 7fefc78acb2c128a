#include "engine/additions.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "engine/picture_reader.h"
#include "image/png.h"
#include "image/resize.h"
#include "request/preprocessors.h"
#include "weights/adapter_distilled.h"

namespace sdxl {
namespace {

constexpr std::size_t kMostNames = 5;  // of unknown tensors, in a report

std::string name_of(const LoraRequest& lora, const AdapterFile& file) {
    return lora.label.empty() ? file.path().stem().string() : lora.label;
}

AdapterReport report_of(const LoraRequest& lora, const AdapterFile& file, const AdapterMatch& match) {
    AdapterReport report;
    report.name = name_of(lora, file);
    report.path = file.path().string();
    report.family = file.family();
    report.layout = file.layout();
    report.unet_weight = lora.unet_weight;
    report.text_encoder_weight = lora.text_encoder_weight;
    report.text_encoder_2_weight = lora.text_encoder_2_weight;
    report.matched = match.matched;
    report.skipped = match.skipped;
    report.unknown = match.unknown.size();
    for (const UnknownTensor& tensor : match.unknown) {
        if (report.unknown_names.size() == kMostNames) break;
        report.unknown_names.push_back(tensor.name +
                                       (tensor.reason.empty() ? "" : " (" + tensor.reason + ")"));
    }
    return report;
}

void warn_about(const AdapterReport& report, const Warn& warn) {
    if (report.skipped > 0)
        warn("LoRA '" + report.name + "': " + std::to_string(report.skipped) +
             " tensors are for a text encoder that this model does not have");
    if (report.unknown == 0) return;
    std::string text = "LoRA '" + report.name + "': " + std::to_string(report.unknown) +
                       " tensors mean nothing to this worker and have no effect: ";
    for (std::size_t i = 0; i < report.unknown_names.size(); ++i)
        text += (i > 0 ? ", " : "") + report.unknown_names[i];
    warn(text + (report.unknown > report.unknown_names.size() ? ", ..." : ""));
}

// A part of the UNet that a weight is given for, and that no tensor of the adapter lies in.
void warn_about_blocks(const LoraRequest& lora, const std::string& name, const AdapterMatch& match,
                       const Warn& warn) {
    const AdapterDeltas& deltas = match.of(AdapterPart::kUnet);
    for (const auto& [prefix, weight] : lora.block_weights) {
        const auto at = deltas.lower_bound(prefix);
        if (weight != 1 && (at == deltas.end() || !at->first.starts_with(prefix)))
            warn("LoRA '" + name + "': it changes nothing in " + prefix +
                 ", so its weight there has no effect");
    }
}

}  // namespace

std::vector<AdapterUse> read_loras(AdapterLibrary& library, const SdxlModel& model,
                                   const GenerationRequest& request, const CancelToken& cancel,
                                   std::vector<AdapterReport>& reports, const Warn& warn) {
    std::vector<AdapterUse> uses;
    for (const LoraRequest& lora : request.loras) {
        cancel.check();
        AdapterUse use;
        use.adapter = library.read(lora);
        use.unet = lora.unet_weight;
        use.text_encoder = lora.text_encoder_weight;
        use.text_encoder_2 = lora.text_encoder_2_weight;
        use.blocks = lora.block_weights;
        at_fault(lora.pointer, [&] {
            const AdapterMatch& match = model.weights->match(use.adapter);
            reports.push_back(report_of(lora, *use.adapter.file, match));
            warn_about(reports.back(), warn);
            warn_about_blocks(lora, reports.back().name, match, warn);
        });
        uses.push_back(std::move(use));
    }
    return uses;
}

void take_defaults_of(const std::vector<AdapterUse>& loras, GenerationRequest& request, const Warn& warn) {
    for (std::size_t i = 0; i < loras.size(); ++i) {
        if (loras[i].unet == 0) continue;
        const auto needs = detect_distilled(*loras[i].adapter.file);
        if (!needs) continue;
        const auto scheduler = parse_scheduler(needs->scheduler);
        std::string taken;
        const auto take = [&](auto& field, auto value, const std::string& text) {
            if (field) return;
            field = value;
            taken += (taken.empty() ? "" : ", ") + text;
        };
        const bool listed = !request.timesteps.empty() || !request.sigmas.empty();
        if (scheduler)
            take(request.scheduler, scheduler->type, std::string(scheduler_title(scheduler->type)));
        if (needs->trailing && !listed)
            take(request.timestep_spacing, TimestepSpacing::kTrailing, "trailing timesteps");
        take(request.steps, needs->steps, std::to_string(needs->steps) + " steps");
        take(request.guidance_scale, needs->guidance_scale,
             needs->guidance_scale > 1 ? "guidance " + std::to_string(needs->guidance_scale)
                                       : std::string("no guidance"));
        if (!taken.empty())
            warn("LoRA '" + name_of(request.loras[i], *loras[i].adapter.file) + "' distils the model (" +
                 needs->name + ", by " + needs->reason +
                 "); where the request is silent it decides: " + taken);
        return;  // the first one decides
    }
}

std::vector<GivenInversion> read_embeddings(AdapterLibrary& library, const GenerationRequest& request) {
    std::vector<GivenInversion> given;
    for (const EmbeddingRequest& embedding : request.embeddings) {
        given.push_back({library.read(embedding), embedding.trigger});
        at_fault(embedding.pointer, [&] { check_inversions(given); });
    }
    return given;
}

namespace {

PreprocessOptions options_of(const ControlRequest& control) {
    PreprocessOptions options;
    options.resolution = control.resolution;
    if (control.low_threshold) options.low_threshold = *control.low_threshold;
    if (control.high_threshold) options.high_threshold = *control.high_threshold;
    return options;
}

Preprocessor preprocessor_of(const ControlRequest& control) {
    const auto found = find_preprocessor(control.preprocessor);
    if (!found.ok()) throw Failure(found.error());
    return *found;
}

// What the picture is for a network that takes several.
int union_type(const ControlRequest& control, const ControlModel& model) {
    if (model.kind() != ControlKind::kUnion) return 0;
    if (const auto type = union_type_of(control.type)) return *type;
    std::string names;
    for (const auto name : union_type_names()) names += (names.empty() ? "" : ", ") + std::string(name);
    fail(ErrorCode::kInvalidRequest, "'" + model.path().string() +
                                         "' takes several types of control: expected one of " + names +
                                         " as type, found '" + control.type + "'");
}

}  // namespace

void check_control_picture(const ControlRequest& control, const EngineConfig& config) {
    at_fault(control.pointer, [&] {
        preprocessor_of(control);
        read_picture(control.image, config);
    });
}

Image control_picture(const ControlRequest& control, const GenerationRequest& request,
                      const EngineConfig& config) {
    return at_fault(control.pointer, [&] {
        const Preprocessor kind = preprocessor_of(control);
        const Image fitted = resize_image(read_picture(control.image, config), request.width, request.height,
                                          control.resize_mode);
        return preprocess(fitted, kind, options_of(control));
    });
}

std::vector<ControlUse> read_controls(AdapterLibrary& library, const SdxlModel& model,
                                      const GenerationRequest& request, const EngineConfig& config,
                                      const CancelToken& cancel, std::vector<ControlReport>& reports,
                                      const Warn& warn) {
    std::vector<ControlUse> uses;
    for (const ControlRequest& control : request.controls) {
        ControlUse use;
        std::vector<std::string> warnings;
        use.model = library.read(control, model, cancel, warnings);
        for (auto& warning : warnings) warn(std::move(warning));
        if (control.model.empty())
            warn("the control model '" + use.model->path().string() + "' was found for the type '" +
                 control.type + "'");
        const auto picture = std::make_shared<Image>(control_picture(control, request, config));
        use.hints = {{picture, at_fault(control.pointer, [&] { return union_type(control, *use.model); })}};
        use.weight = control.weight;
        use.start = control.start;
        use.end = control.end;
        use.guess_mode = control.guess_mode;
        // What makes no sense is found now, and not in the first step.
        at_fault(control.pointer, [&] { Control(model, use, request.width, request.height); });
        const PreprocessorInfo& how = preprocessor_info(preprocessor_of(control));
        if (!how.note.empty()) warn(std::string(how.note));
        ControlReport report{control.type,
                             use.model->path().string(),
                             std::string(control_kind_name(use.model->kind())),
                             std::string(how.name),
                             control.weight,
                             {}};
        if (control.return_image) report.picture = encode_png(*picture, {});
        reports.push_back(std::move(report));
        uses.push_back(std::move(use));
    }
    return uses;
}

std::vector<Reference> read_references(AdapterLibrary& library, const SdxlModel& model,
                                       const GenerationRequest& request, const EngineConfig& config,
                                       const CancelToken& cancel, std::vector<ReferenceReport>& reports,
                                       const Warn& warn) {
    std::vector<Reference> references;
    for (const ReferenceRequest& asked : request.references) {
        Reference reference;
        std::vector<std::string> warnings;
        reference.adapter = library.read(asked, model, cancel, warnings);
        for (auto& warning : warnings) warn(std::move(warning));
        for (const ImageSource& image : asked.images)
            reference.images.push_back(std::make_shared<Image>(read_picture(image, config)));
        reference.weight = asked.weight;
        reference.start = asked.start;
        reference.end = asked.end;
        reports.push_back({reference.adapter->path().string(), reference.adapter->encoder()->path.string(),
                           asked.images.size(), asked.weight});
        references.push_back(std::move(reference));
    }
    return references;
}

}  // namespace sdxl
