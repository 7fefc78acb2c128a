#include "worker/sdxl_worker.h"

#include "worker/submit.h"

namespace sdxl {
namespace {

class SdxlWorker final : public Worker {
  public:
    explicit SdxlWorker(Engine& engine) : engine_(engine) {}

    void initialize() override {}  // the engine loads a model when a request names one

    void process_request(WorkerRequest request, WorkerDone done) override {
        if (submit_if<GenerationRequest, GenerationResult>(engine_, request, done)) return;
        done(Error{ErrorCode::kUnsupported,
                   "sdxl_worker makes single pictures; send this to pipeline_manager or model_loader", ""});
    }

  private:
    Engine& engine_;
};

}  // namespace

std::unique_ptr<Worker> make_sdxl_worker(Engine& engine) {
    return std::make_unique<SdxlWorker>(engine);
}

}  // namespace sdxl
