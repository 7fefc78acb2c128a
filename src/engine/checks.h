// What can be said about models and requests without running anything. Reads headers only; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/adapter_library.h"
#include "engine/engine.h"
#include "engine/memory_keeper.h"
#include "engine/model_cache.h"
#include "tensor/dtype.h"

namespace sdxl {

// The loaded ones and those in the models folder; of one name only that one. Fails as resolve_model and
// open_checkpoint do for a name; in a list what is broken gets a warning instead.
std::vector<ModelInfo> describe_models(const ModelInfoRequest& request, const EngineConfig& config,
                                       const ModelCache& models);

// What would make the request fail before its first step.
std::vector<Error> check_generation(const GenerationRequest& request, const EngineConfig& config,
                                    const ModelCache& models, const AdapterLibrary& adapters,
                                    const MemoryUse& use, WeightForm form);

// Where a picture of this request goes if it names a save_path: absolute, and under confinement inside the
// output folder (relative paths are meant from there). Fails with kInvalidRequest for one outside.
std::filesystem::path save_path_of(const GenerationRequest& request, const EngineConfig& config);

}  // namespace sdxl
