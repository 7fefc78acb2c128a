// What a generation starts from: the pictures that its request names, read and brought to size.
#pragma once

#include "engine/engine.h"
#include "pipeline/generation.h"
#include "request/generation.h"

namespace sdxl {

// Reads the initial image and the mask. `request` gets the picture's size where it leaves that to the initial
// image; what it leaves to the model must have been settled before (with_size_of_model). Under confinement
// files are read from the output folder alone (relative paths are meant from there). Fails with kNotFound or
// kIo for a file, kInvalidRequest for one that is no picture, naming the field.
Image read_picture(const ImageSource& source, const EngineConfig& config);  // one of them, RGB
PictureInputs read_inputs(GenerationRequest& request, const EngineConfig& config);

// With the sizes that the request leaves to the model, each for itself as in diffusers: what its config.json
// says it was made for (sample_size), else 1024.
GenerationRequest with_size_of_model(GenerationRequest request, const SdxlModel& model);

}  // namespace sdxl
