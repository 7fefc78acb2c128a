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
    return said;
}

std::vector<std::string> without_effect(const GenerationRequest& request, bool takes_score) {
    const GenerationRequest silent;
    if (takes_score || (request.aesthetic_score == silent.aesthetic_score &&
                        request.negative_aesthetic_score == silent.negative_aesthetic_score))
        return {};
    return {"aesthetic_score has no effect: no refiner took part"};
}

}  // namespace sdxl
