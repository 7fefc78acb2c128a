// What a request adds to its model, read and ready: the part of a generation's load that is not the model.
//
// Loop thread. Errors: Failure, with the pointer of the request's part that is at fault.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/adapter_library.h"
#include "engine/engine.h"
#include "pipeline/adapted_weights.h"
#include "pipeline/control.h"
#include "pipeline/reference_image.h"
#include "pipeline/sdxl_model.h"
#include "request/generation.h"

namespace sdxl {

using Warn = std::function<void(std::string)>;

// Reads the request's LoRAs, sees that each changes this model, and reports what of it does.
std::vector<AdapterUse> read_loras(AdapterLibrary& library, const SdxlModel& model,
                                   const GenerationRequest& request, const CancelToken& cancel,
                                   std::vector<AdapterReport>& reports, const Warn& warn);

// Where a distilled model's LoRA is among them and the request is silent, what that LoRA needs.
void take_defaults_of(const std::vector<AdapterUse>& loras, GenerationRequest& request, const Warn& warn);

// The embeddings that its prompts may mention.
std::vector<GivenInversion> read_embeddings(AdapterLibrary& library, const GenerationRequest& request);

// Control pictures as the network is to see them: preprocessed, and of the request's final size.
Image control_picture(const ControlRequest& control, const GenerationRequest& request,
                      const EngineConfig& config);

// Sees that there is such a picture, and such a preprocessor.
void check_control_picture(const ControlRequest& control, const EngineConfig& config);

// With their models and pictures, ready for a generation of the request's final size.
std::vector<ControlUse> read_controls(AdapterLibrary& library, const SdxlModel& model,
                                      const GenerationRequest& request, const EngineConfig& config,
                                      const CancelToken& cancel, std::vector<ControlReport>& reports,
                                      const Warn& warn);

std::vector<Reference> read_references(AdapterLibrary& library, const SdxlModel& model,
                                       const GenerationRequest& request, const EngineConfig& config,
                                       const CancelToken& cancel, std::vector<ReferenceReport>& reports,
                                       const Warn& warn);

}  // namespace sdxl
