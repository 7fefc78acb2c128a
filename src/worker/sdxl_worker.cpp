#include "worker/sdxl_worker.h"

#include <utility>

namespace sdxl {
namespace {

class SdxlWorker final : public Worker {
  public:
    explicit SdxlWorker(Engine& engine) : engine_(engine) {}

    void initialize() override {}  // the engine loads a model when a request names one

    void process_request(WorkerRequest request, WorkerDone done) override {
        auto* generation = std::get_if<GenerationRequest>(&request.command);
        if (generation == nullptr)
            return done(Error{ErrorCode::kUnsupported,
                              "sdxl_worker makes pictures; send this to model_loader or pipeline_manager",
                              ""});
        engine_.submit(std::move(*generation), std::move(request.token), std::move(request.progress),
                       [done = std::move(done)](Result<GenerationResult> result) {
                           if (result.ok()) return done(WorkerOutcome(std::move(*result)));
                           done(result.error());
                       });
    }

  private:
    Engine& engine_;
};

}  // namespace

std::unique_ptr<Worker> make_sdxl_worker(Engine& engine) {
    return std::make_unique<SdxlWorker>(engine);
}

}  // namespace sdxl
