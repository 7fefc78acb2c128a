#include "worker/batch.h"

#include <mutex>
#include <utility>

namespace sdxl {
namespace {

// Shared by the items' callbacks; the last one to end answers.
class Batch {
  public:
    Batch(std::size_t items, WorkerDone done) : done_(std::move(done)), left_(items) {
        result_.items.resize(items);
    }

    void end(std::size_t index, Result<GenerationResult> result, std::vector<std::string> warnings) {
        {
            const std::lock_guard lock(mutex_);
            result_.items[index] = {std::move(result), std::move(warnings)};
            if (--left_ > 0) return;
        }
        done_(WorkerOutcome(std::move(result_)));
    }

  private:
    WorkerDone done_;
    std::mutex mutex_;
    BatchResult result_;
    std::size_t left_;
};

Result<GenerationResult> generation_of(WorkerResponse response) {
    if (!response.ok()) return response.error();
    return std::get<GenerationResult>(std::move(*response));
}

}  // namespace

JobContext context_of_part(const JobContext& context, int part, int parts) {
    JobContext one = context;
    if (!context.progress) return one;
    one.progress = [progress = context.progress, part, parts](const ProgressEvent& event) {
        ProgressEvent whole = event;
        whole.part = part;
        whole.parts = parts;
        whole.percent = (100.0 * part + event.percent) / parts;
        progress(whole);
    };
    return one;
}

void run_batch(Worker& pictures, BatchRequest batch, const JobContext& context, WorkerDone done) {
    const std::size_t count = batch.items.size();
    if (count == 0) return done(WorkerOutcome(BatchResult{}));
    const auto shared = std::make_shared<Batch>(count, std::move(done));
    for (std::size_t i = 0; i < count; ++i) {
        BatchItem& item = batch.items[i];
        if (!item.request.ok()) {
            shared->end(i, item.request.error(), std::move(item.warnings));
            continue;
        }
        pictures.process_request({std::move(*item.request),
                                  context_of_part(context, static_cast<int>(i), static_cast<int>(count))},
                                 [shared, i, warnings = std::move(item.warnings)](WorkerResponse response) {
                                     shared->end(i, generation_of(std::move(response)), warnings);
                                 });
    }
}

}  // namespace sdxl
