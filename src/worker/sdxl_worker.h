// The worker that makes pictures; hosts also call it enhanced_sdxl_worker.
#pragma once

#include <memory>

#include "worker/worker.h"

namespace sdxl {

std::unique_ptr<Worker> make_sdxl_worker(Engine& engine);

}  // namespace sdxl
