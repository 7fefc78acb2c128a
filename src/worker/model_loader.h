// The worker that gets models ready before they are needed.
#pragma once

#include <memory>

#include "worker/worker.h"

namespace sdxl {

std::unique_ptr<Worker> make_model_loader(Engine& engine);

}  // namespace sdxl
