#include "worker/model_loader.h"

#include <utility>

#include "worker/submit.h"

namespace sdxl {
namespace {

class ModelLoader final : public Worker {
  public:
    explicit ModelLoader(Engine& engine) : engine_(engine) {}

    void initialize() override {}  // the engine does its work; there is nothing to get ready

    void process_request(WorkerRequest request, WorkerDone done) override {
        if (submit_if<ModelLoadRequest, ModelInfo>(engine_, request, done) ||
            submit_if<ModelUnloadRequest, ModelUnloadResult>(engine_, request, done) ||
            submit_if<CleanupRequest, CleanupResult>(engine_, request, done))
            return;
        if (const auto* info = std::get_if<ModelInfoRequest>(&request.command)) {
            const auto models = engine_.model_info(*info);
            return models.ok() ? done(WorkerOutcome(*models)) : done(models.error());
        }
        done(Error{ErrorCode::kUnsupported,
                   "model_loader loads and unloads models; send this to sdxl_worker or pipeline_manager",
                   ""});
    }

  private:
    Engine& engine_;
};

}  // namespace

std::unique_ptr<Worker> make_model_loader(Engine& engine) {
    return std::make_unique<ModelLoader>(engine);
}

}  // namespace sdxl
