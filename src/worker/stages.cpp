#include "worker/stages.h"

#include <memory>
#include <utility>

#include "worker/batch.h"

namespace sdxl {
namespace {

// One run through the stages. Used by one thread at a time: a stage begins when the former has ended.
class StagesRun : public std::enable_shared_from_this<StagesRun> {
  public:
    StagesRun(Worker& pictures, StagesRequest stages, JobContext context, WorkerDone done)
        : pictures_(pictures),
          stages_(std::move(stages.stages)),
          context_(std::move(context)),
          done_(std::move(done)) {}

    void begin_next() {
        const std::size_t index = result_.stages.size();
        if (index == stages_.size()) return done_(WorkerOutcome(std::move(result_)));
        pictures_.process_request(
            {std::move(stages_[index].request),
             context_of_part(context_, static_cast<int>(index), static_cast<int>(stages_.size()))},
            [self = shared_from_this()](WorkerResponse response) { self->end(std::move(response)); });
    }

  private:
    void end(WorkerResponse response) {
        const std::size_t index = result_.stages.size();
        const std::string& name = stages_[index].name;
        if (!response.ok()) {
            Error error = response.error();
            error.message = "stage " + std::to_string(index + 1) + " ('" + name + "'): " + error.message;
            return done_(error);
        }
        result_.stages.push_back({name, std::get<GenerationResult>(std::move(*response))});
        auto& images = result_.stages.back().result.images;
        if (index + 1 < stages_.size()) {
            if (images.empty() || (!images.front().pixels && !images.front().latents))
                return done_(Error{ErrorCode::kInternal, "stage '" + name + "' made no picture", ""});
            GenerationRequest& next = stages_[index + 1].request;
            next.init_pixels = std::exchange(images.front().pixels, nullptr);
            next.init_latents = std::exchange(images.front().latents, nullptr);
            next.init_draws = images.front().draws;
        }
        begin_next();
    }

    Worker& pictures_;
    std::vector<GenerationStage> stages_;
    JobContext context_;
    WorkerDone done_;
    StagesResult result_;
};

}  // namespace

void run_stages(Worker& pictures, StagesRequest stages, const JobContext& context, WorkerDone done) {
    std::make_shared<StagesRun>(pictures, std::move(stages), context, std::move(done))->begin_next();
}

}  // namespace sdxl
