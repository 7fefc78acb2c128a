#include "engine/additions.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"
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
            warn("LoRA '" + name + "': it changes nothing in " + prefix + ", so its weight there has no effect");
    }
}

}  // namespace

std::vector<AdapterUse> read_loras(AdapterLibrary& library, const SdxlModel& model,
                                   const GenerationRequest& request, std::vector<AdapterReport>& reports,
                                   const Warn& warn) {
    std::vector<AdapterUse> uses;
    for (const LoraRequest& lora : request.loras) {
        AdapterUse use;
        use.adapter = library.read(lora);
        use.unet = lora.unet_weight;
        use.text_encoder = lora.text_encoder_weight;
        use.text_encoder_2 = lora.text_encoder_2_weight;
        use.blocks = lora.block_weights;
        try {
            const AdapterMatch& match = model.weights->match(use.adapter);
            reports.push_back(report_of(lora, *use.adapter.file, match));
            warn_about(reports.back(), warn);
            warn_about_blocks(lora, reports.back().name, match, warn);
        } catch (const Failure& failure) {
            Error error = failure.error();
            if (error.pointer.empty()) error.pointer = lora.pointer;
            throw Failure(std::move(error));
        }
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
        if (scheduler) take(request.scheduler, scheduler->type, std::string(scheduler_title(scheduler->type)));
        if (needs->trailing && !listed)
            take(request.timestep_spacing, TimestepSpacing::kTrailing, "trailing timesteps");
        take(request.steps, needs->steps, std::to_string(needs->steps) + " steps");
        take(request.guidance_scale, needs->guidance_scale,
             needs->guidance_scale > 1 ? "guidance " + std::to_string(needs->guidance_scale)
                                       : std::string("no guidance"));
        if (!taken.empty())
            warn("LoRA '" + name_of(request.loras[i], *loras[i].adapter.file) + "' distils the model (" +
                 needs->name + ", by " + needs->reason + "); where the request is silent it decides: " + taken);
        return;  // the first one decides
    }
}

}  // namespace sdxl
