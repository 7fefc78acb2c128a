// What a request says that changes nothing, as only its model can tell; the protocol knows the rest.
#pragma once

#include <string>
#include <vector>

#include "pipeline/generation.h"
#include "pipeline/sampling_plan.h"
#include "request/generation.h"

namespace sdxl {

// One sentence each, for the answer's warnings.
std::vector<std::string> without_effect(const GenerationRequest& request, const SamplingPlan& plan,
                                        const PictureInputs& inputs);

// Said once all models of a request are known; `takes_score`: one of them has an aesthetic score as input.
std::vector<std::string> without_effect(const GenerationRequest& request, bool takes_score);

}  // namespace sdxl
