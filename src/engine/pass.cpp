#include "engine/pass.h"

#include <utility>

#include "pipeline/sampling_plan.h"
#include "sampling/scheduler_options.h"

namespace sdxl {

void Pass::begin(const Context& ctx, const SdxlModel& model, AdapterLibrary& library,
                 const std::vector<GivenInversion>& embeddings) {
    end();
    std::vector<std::string> told;  // already, when they were read first
    for (std::size_t i = 0; i < controls.size(); ++i)
        if (controls[i].model->compute() != model.compute)
            controls[i].model = library.read(request.controls[i], model, *ctx.cancel, told);
    for (std::size_t i = 0; i < references.size(); ++i)
        if (references[i].adapter->encoder()->compute != model.compute)
            references[i].adapter = library.read(request.references[i], model, *ctx.cancel, told);
    conditioning.emplace(ctx, model, request, plan_sampling(request, model).guidance(), embeddings);
    if (!references.empty())
        at_fault(request.references.front().pointer,
                 [&] { conditioning->add_references(ctx, model, references); });
    for (const ControlUse& use : controls) at_work.emplace_back(model, use, request.width, request.height);
}

void Pass::end() {
    at_work.clear();
    conditioning.reset();
}

std::vector<Pass> passes_of(const GenerationRequest& request) {
    std::vector<Pass> passes{Pass{request}};
    if (!request.refiner) return passes;
    const RefinerRequest& refiner = *request.refiner;
    if (!refiner.strength && refiner.switch_at >= 1) return passes;
    Pass second{request};
    second.request.model = refiner.model;
    second.request.parts = {};
    std::erase_if(second.request.scheduler_options,
                  [](const SchedulerOption& option) { return describes_model(option.name); });
    if (refiner.strength) {
        second.request.strength = *refiner.strength;
    } else {
        passes.front().request.denoising_end = refiner.switch_at;
        second.request.denoising_start = refiner.switch_at;
    }
    passes.push_back(std::move(second));
    return passes;
}

}  // namespace sdxl
