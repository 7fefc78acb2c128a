#include "engine/without_effect.h"

#include <algorithm>

#include "sampling/scheduler_options.h"

namespace sdxl {

std::vector<std::string> without_effect(const GenerationRequest& request, const SamplingPlan& plan,
                                        const PictureInputs& inputs) {
    std::vector<std::string> said;
    for (const SchedulerOption* option : unused_options(plan.type, plan.config, request.scheduler_options))
        said.push_back(option->pointer + " has no effect: " + std::string(scheduler_title(plan.type)) +
                       " with these noise levels does not read it");
    if (!plan.guidance() && !(request.negative_prompt.empty() && request.negative_prompt_2.empty()))
        said.emplace_back(
            "negative_prompt has no effect: there is no guidance (guidance_scale above 1) here");
    if (!inputs.mask.empty() &&
        std::all_of(inputs.mask.begin(), inputs.mask.end(), [](float value) { return value == 0.F; }))
        said.emplace_back("the mask is black everywhere: nothing is redrawn");
    const auto& taken = inputs.latents;
    if (taken && request.denoising_start > 0 &&
        (taken->width * kPixelsPerLatent != request.width ||
         taken->height * kPixelsPerLatent != request.height))
        said.emplace_back(
            "latents were brought to another size with noise in them, which spoils it: let a stage end "
            "(denoising_end 1) before the next one changes the size");
    return said;
}

std::vector<std::string> without_effect(const GenerationRequest& request, bool takes_score) {
    const GenerationRequest silent;
    if (takes_score || (request.aesthetic_score == silent.aesthetic_score &&
                        request.negative_aesthetic_score == silent.negative_aesthetic_score))
        return {};
    return {"aesthetic_score has no effect: no refiner took part"};
}

std::string precision_note(Precision asked, const SdxlModel& model, const Backend& backend) {
    const bool other = (asked == Precision::kBF16 && model.compute != DType::kBF16) ||
                       (asked == Precision::kHalf && model.compute == DType::kF32) ||
                       (asked == Precision::kInt8 && !model.int8);
    if (!other) return "";
    return "precision: the '" + std::string(backend.name()) + "' backend has no " +
           std::string(precision_name(asked)) + " here, " + model.dtype() + " was used";
}

std::string default_model_note(const EngineConfig& config, const SdxlModel& model) {
    const auto [height, width] = model.unet->config().sample_size;
    return "no model was named: " + (config.default_is_demo
                                         ? "the built-in demo model was used; it draws simple shapes at " +
                                               std::to_string(width * kPixelsPerLatent) + " x " +
                                               std::to_string(height * kPixelsPerLatent)
                                         : "the default one was used, " + model.path.string());
}

}  // namespace sdxl
