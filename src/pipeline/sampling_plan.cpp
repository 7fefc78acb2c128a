#include "pipeline/sampling_plan.h"

namespace sdxl {

SamplingPlan plan_sampling(const GenerationRequest& request, const SdxlModel& model) {
    SamplingPlan plan{request.scheduler.value_or(model.scheduler.type), model.scheduler.config,
                      request.steps.value_or(model.variant.steps),
                      request.guidance_scale.value_or(model.variant.guidance_scale)};
    plan.embeds_guidance = model.unet->config().guidance_dim > 0;
    if (request.sigma_schedule) {
        plan.config.sigma_schedule = *request.sigma_schedule;
        plan.config.use_karras_sigmas = *request.sigma_schedule == SigmaSchedule::kKarras;
    }
    if (request.timestep_spacing) plan.config.timestep_spacing = request.timestep_spacing;
    if (!request.timesteps.empty()) plan.steps = static_cast<int>(request.timesteps.size());
    if (!request.sigmas.empty())
        plan.steps = static_cast<int>(request.sigmas.size()) - (request.sigmas.back() == 0 ? 1 : 0);
    return plan;
}

}  // namespace sdxl
