// What an answer tells of a request that only its model could tell: what changed nothing, what was done
// otherwise; the protocol knows the rest.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "pipeline/generation.h"
#include "pipeline/sampling_plan.h"
#include "request/generation.h"

namespace sdxl {

// One sentence each, for the answer's warnings.
std::vector<std::string> without_effect(const GenerationRequest& request, const SamplingPlan& plan,
                                        const PictureInputs& inputs);

// Said once all models of a request are known; `takes_score`: one of them has an aesthetic score as input.
std::vector<std::string> without_effect(const GenerationRequest& request, bool takes_score);

// Where the precision is not what was asked for; else "".
std::string precision_note(Precision asked, const SdxlModel& model, const Backend& backend);

// That the default model was taken.
std::string default_model_note(const EngineConfig& config, const SdxlModel& model);

}  // namespace sdxl
