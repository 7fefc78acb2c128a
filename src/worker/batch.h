// A list of generations as one request: one answer with a result per item, and failures that do not sink the
// others.
#pragma once

#include "worker/worker.h"

namespace sdxl {

// All items are submitted at once; they share the context's token, priority and deadline. `done` is called
// once, after the last item, with a BatchResult. `pictures` must outlive that.
void run_batch(Worker& pictures, BatchRequest batch, const JobContext& context, WorkerDone done);

// The context for part `part` of `parts`: its progress says which part it is, and its percent is that of the
// whole.
JobContext context_of_part(const JobContext& context, int part, int parts);

}  // namespace sdxl
