// One model's share of a request: the base model's, and a refiner's behind it. Loop thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/adapter_library.h"
#include "pipeline/adapted_weights.h"
#include "pipeline/conditioning.h"
#include "pipeline/control.h"
#include "pipeline/reference_image.h"
#include "pipeline/sdxl_model.h"
#include "request/generation.h"

namespace sdxl {

struct Pass {
    GenerationRequest request;
    ModelFiles files = {};
    std::string stamp = {};
    WeightForm form = {};
    // What is added to the model; controls and references in the order of the request's.
    std::vector<AdapterUse> loras = {};
    std::vector<ControlUse> controls = {};
    std::vector<Reference> references = {};
    // While it runs.
    std::optional<Conditioning> conditioning = std::nullopt;
    std::vector<Control> at_work = {};  // of `controls`, with this conditioning

    // Encodes prompts and pictures with `model`, in whose element type the controls and references are
    // brought, too. Fails with Failure.
    void begin(const Context& ctx, const SdxlModel& model, AdapterLibrary& library,
               const std::vector<GivenInversion>& embeddings);
    void end();
};

// The refiner's share goes on where the base model's ends.
std::vector<Pass> passes_of(const GenerationRequest& request);

}  // namespace sdxl
