// From a worker's request to the engine's, for commands that are one job.
#pragma once

#include <utility>
#include <variant>

#include "worker/worker.h"

namespace sdxl {

// Submits the request if it is a Command, with `done` told its Outcome. False if it is something else.
template <class Command, class Outcome>
bool submit_if(Engine& engine, WorkerRequest& request, const WorkerDone& done) {
    auto* command = std::get_if<Command>(&request.command);
    if (command == nullptr) return false;
    engine.submit(std::move(*command), std::move(request.context), [done](Result<Outcome> result) {
        if (result.ok()) return done(WorkerOutcome(std::move(*result)));
        done(result.error());
    });
    return true;
}

}  // namespace sdxl
