#include "worker/model_loader.h"

#include <utility>

namespace sdxl {
namespace {

class ModelLoader final : public Worker {
  public:
    explicit ModelLoader(Engine& engine) : engine_(engine) {}

    void initialize() override {}

    void process_request(WorkerRequest request, WorkerDone done) override {
        auto* load = std::get_if<ModelLoadRequest>(&request.command);
        if (load == nullptr)
            return done(Error{ErrorCode::kUnsupported,
                              "model_loader loads models; send this to sdxl_worker or pipeline_manager", ""});
        engine_.submit(std::move(*load), std::move(request.token), std::move(request.progress),
                       [done = std::move(done)](Result<ModelInfo> result) {
                           if (result.ok()) return done(WorkerOutcome(std::move(*result)));
                           done(result.error());
                       });
    }

  private:
    Engine& engine_;
};

}  // namespace

std::unique_ptr<Worker> make_model_loader(Engine& engine) {
    return std::make_unique<ModelLoader>(engine);
}

}  // namespace sdxl
