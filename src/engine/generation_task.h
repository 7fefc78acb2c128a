// One generation as a job that is advanced unit by unit: load, encode, each step, decode and write of each
// picture.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "engine/adapter_library.h"
#include "engine/engine.h"
#include "engine/job_queue.h"
#include "engine/model_cache.h"

namespace sdxl {

// What the tasks of one engine share. Outlives them.
struct EngineParts {
    EngineConfig config;
    DeviceInfo device;
    Backend& backend;
    ModelCache& models;
    AdapterLibrary& adapters;
    std::atomic<std::uint64_t> pictures{0};
    std::atomic<std::uint64_t> steps{0};

    // How weights are kept and computed with for a request's precision.
    WeightForm form_of(Precision precision) const;
    // How many bytes of weights that adapters left unused may be kept.
    std::uint64_t adapter_budget() const;
};

std::unique_ptr<Task> make_generation_task(EngineParts& parts, GenerationRequest request, JobContext context,
                                           JobDone<GenerationResult> done);

}  // namespace sdxl
