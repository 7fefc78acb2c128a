// The worker that hosts start by default: it takes everything. Requests of several generations (batches,
// stages) it makes of single ones; those and all else it hands to the worker whose business they are.
#pragma once

#include <memory>

#include "worker/worker.h"

namespace sdxl {

std::unique_ptr<Worker> make_pipeline_manager(Engine& engine);

}  // namespace sdxl
