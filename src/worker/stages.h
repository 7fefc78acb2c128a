// Generations of which each takes up the picture of the one before.
#pragma once

#include "worker/worker.h"

namespace sdxl {

// Submits one stage after the other; they share the context's token, priority and deadline. `done` is called
// once with a StagesResult, or with the first stage's error that failed, whose message names it. `pictures`
// must outlive that.
void run_stages(Worker& pictures, StagesRequest stages, const JobContext& context, WorkerDone done);

}  // namespace sdxl
