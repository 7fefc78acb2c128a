// What a request adds to its model, read and ready: the part of a generation's load that is not the model.
//
// Loop thread. Errors: Failure, with the pointer of the request's part that is at fault.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/adapter_library.h"
#include "pipeline/adapted_weights.h"
#include "pipeline/sdxl_model.h"
#include "request/generation.h"

namespace sdxl {

using Warn = std::function<void(std::string)>;

// Reads the request's LoRAs, sees that each changes this model, and reports what of it does.
std::vector<AdapterUse> read_loras(AdapterLibrary& library, const SdxlModel& model,
                                   const GenerationRequest& request, std::vector<AdapterReport>& reports,
                                   const Warn& warn);

// Where a distilled model's LoRA is among them and the request is silent, what that LoRA needs.
void take_defaults_of(const std::vector<AdapterUse>& loras, GenerationRequest& request, const Warn& warn);

}  // namespace sdxl
