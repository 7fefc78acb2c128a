#include "worker/pipeline_manager.h"

#include <mutex>
#include <utility>

#include "worker/batch.h"
#include "worker/model_loader.h"
#include "worker/sdxl_worker.h"
#include "worker/stages.h"

namespace sdxl {
namespace {

// A worker that is made and initialised when the first request comes for it.
class LazyWorker {
  public:
    LazyWorker(Engine& engine, WorkerFactory factory) : engine_(engine), factory_(factory) {}

    Worker& get() {
        const std::lock_guard lock(mutex_);
        if (!worker_) {
            auto worker = factory_(engine_);
            worker->initialize();
            worker_ = std::move(worker);
        }
        return *worker_;
    }

  private:
    Engine& engine_;
    WorkerFactory factory_;
    std::mutex mutex_;
    std::unique_ptr<Worker> worker_;
};

class PipelineManager final : public Worker {
  public:
    explicit PipelineManager(Engine& engine)
        : pictures_(engine, make_sdxl_worker), models_(engine, make_model_loader) {}

    void initialize() override {}

    void process_request(WorkerRequest request, WorkerDone done) override {
        if (auto* batch = std::get_if<BatchRequest>(&request.command))
            return run_batch(pictures_.get(), std::move(*batch), request.context, std::move(done));
        if (auto* stages = std::get_if<StagesRequest>(&request.command))
            return run_stages(pictures_.get(), std::move(*stages), request.context, std::move(done));
        const bool picture = std::holds_alternative<GenerationRequest>(request.command);
        (picture ? pictures_ : models_).get().process_request(std::move(request), std::move(done));
    }

  private:
    LazyWorker pictures_;
    LazyWorker models_;
};

}  // namespace

std::unique_ptr<Worker> make_pipeline_manager(Engine& engine) {
    return std::make_unique<PipelineManager>(engine);
}

}  // namespace sdxl
