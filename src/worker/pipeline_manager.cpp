#include "worker/pipeline_manager.h"

#include <utility>

#include "worker/model_loader.h"
#include "worker/sdxl_worker.h"

namespace sdxl {
namespace {

class PipelineManager final : public Worker {
  public:
    explicit PipelineManager(Engine& engine)
        : pictures_(make_sdxl_worker(engine)), models_(make_model_loader(engine)) {}

    void initialize() override {
        pictures_->initialize();
        models_->initialize();
    }

    void process_request(WorkerRequest request, WorkerDone done) override {
        Worker& worker = std::holds_alternative<GenerationRequest>(request.command) ? *pictures_ : *models_;
        worker.process_request(std::move(request), std::move(done));
    }

  private:
    std::unique_ptr<Worker> pictures_;
    std::unique_ptr<Worker> models_;
};

}  // namespace

std::unique_ptr<Worker> make_pipeline_manager(Engine& engine) {
    return std::make_unique<PipelineManager>(engine);
}

}  // namespace sdxl
