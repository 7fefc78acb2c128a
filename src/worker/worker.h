// Worker: takes typed requests of one kind and answers each exactly once.
//
// Workers are made on first use (initialize() runs then) and live as long as the session. process_request()
// returns at once; `done` is called from this thread or the engine's. A request that the worker does not
// handle is answered with kUnsupported. Any thread may call process_request().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/cancel_token.h"
#include "core/error.h"
#include "engine/engine.h"
#include "request/commands.h"
#include "request/generation.h"

namespace sdxl {

using WorkerCommand = std::variant<GenerationRequest, BatchRequest, StagesRequest, ModelLoadRequest,
                                   ModelUnloadRequest, ModelInfoRequest, CleanupRequest>;
using WorkerOutcome = std::variant<GenerationResult, BatchResult, StagesResult, ModelInfo, ModelUnloadResult,
                                   std::vector<ModelInfo>, CleanupResult>;

struct WorkerRequest {
    WorkerCommand command;
    JobContext context;
};

using WorkerResponse = Result<WorkerOutcome>;
using WorkerDone = std::function<void(WorkerResponse)>;

class Worker {
  public:
    virtual ~Worker() = default;
    // Called once before the first request. Fails with a Failure that answers that request; it is tried again
    // then.
    virtual void initialize() = 0;
    virtual void process_request(WorkerRequest request, WorkerDone done) = 0;
};

// The engine must outlive every worker.
using WorkerFactory = std::unique_ptr<Worker> (*)(Engine& engine);

// Makes workers by name, each on first use.
class WorkerRegistry {
  public:
    explicit WorkerRegistry(Engine& engine) : engine_(engine) {}

    // Fails with kInvalidRequest for a name that nobody has, listing those there are.
    Worker& get(std::string_view name);

  private:
    struct Made {
        std::string name;
        std::unique_ptr<Worker> worker;
    };
    Engine& engine_;
    std::vector<Made> made_;
};

std::vector<std::string> worker_names();

}  // namespace sdxl
