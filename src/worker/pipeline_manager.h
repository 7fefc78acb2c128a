// The worker that hosts start by default: it takes everything and hands it to the one whose business it is.
#pragma once

#include <memory>

#include "worker/worker.h"

namespace sdxl {

std::unique_ptr<Worker> make_pipeline_manager(Engine& engine);

}  // namespace sdxl
