// FakeEngine: an engine whose jobs end when the test says so, on a thread of its own choice.
//
// Jobs wait in order of submission until finish_next(), or end at once after finish_at_once(). A job whose
// token says stop ends with that error, as in the real engine. A generation whose prompt is "fails" fails.
// Any thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace sdxl {

class FakeEngine final : public Engine {
  public:
    void submit(GenerationRequest request, JobContext context, JobDone<GenerationResult> done) override {
        seen.push_back(request);
        take<GenerationResult>(std::move(context), std::move(done), [request](const JobContext& job) {
            if (request.prompt == "fails") fail(ErrorCode::kOutOfMemory, "no memory for it");
            tell(job, 50);
            GenerationResult result;
            GeneratedImage image;
            image.path = "/out/" + request.prompt + ".png";
            image.seed = request.seed;
            image.width = image.height = 64;
            if (request.keep_pixels) image.pixels = std::make_shared<Image>();
            result.images.push_back(std::move(image));
            return result;
        });
    }
    void submit(ModelLoadRequest request, JobContext context, JobDone<ModelInfo> done) override {
        take<ModelInfo>(std::move(context), std::move(done), [request](const JobContext&) {
            if (request.model == "missing")
                fail(ErrorCode::kNotFound, "no model is called missing", "/data/model_path");
            ModelInfo info;
            info.id = request.id.empty() ? request.model : request.id;
            info.path = "/models/" + request.model;
            info.loaded = true;
            return info;
        });
    }
    void submit(ModelUnloadRequest request, JobContext context, JobDone<ModelUnloadResult> done) override {
        take<ModelUnloadResult>(std::move(context), std::move(done), [request](const JobContext&) {
            return ModelUnloadResult{{request.model}, {}};
        });
    }
    void submit(CleanupRequest, JobContext context, JobDone<CleanupResult> done) override {
        take<CleanupResult>(std::move(context), std::move(done), [](const JobContext&) {
            return CleanupResult{{}, 1000, 10, {}};
        });
    }

    EngineStatus status() const override {
        EngineStatus status;
        status.device = "cpu";
        status.device_name = "CPU: fake";
        status.backend = "reference";
        return status;
    }
    Result<std::vector<ModelInfo>> model_info(const ModelInfoRequest& request) const override {
        if (request.model == "missing") return Error{ErrorCode::kNotFound, "no model is called missing", ""};
        ModelInfo info;
        info.id = request.model.empty() ? "some" : request.model;
        return std::vector<ModelInfo>{info};
    }
    std::vector<Error> check(const GenerationRequest& request) const override {
        if (request.model != "missing") return {};
        return {Error{ErrorCode::kNotFound, "no model is called missing", ""}};
    }

    void select_device(const DeviceChoice& choice) override {
        if (choice.name != "" && choice.name != "cpu" && choice.name != "gpu:0")
            fail(ErrorCode::kUnsupported, "device '" + choice.name + "' is not there", choice.pointer);
    }

    void finish_at_once() { at_once_ = true; }
    // False if nothing waits.
    bool finish_next() {
        std::function<void()> job;
        {
            const std::lock_guard lock(mutex_);
            if (jobs_.empty()) return false;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job();
        return true;
    }
    void finish_all() {
        while (finish_next()) {
        }
    }

    std::vector<GenerationRequest> seen;
    std::vector<JobContext> contexts;

  private:
    static void tell(const JobContext& context, double percent) {
        if (!context.progress) return;
        ProgressEvent event;
        event.stage = Stage::kDenoise;
        event.done = 1;
        event.total = 2;
        event.percent = percent;
        context.progress(event);
    }

    template <class T, class Work>
    void take(JobContext context, JobDone<T> done, Work work) {
        contexts.push_back(context);
        auto job = [context = std::move(context), done = std::move(done), work] {
            Result<T> result = Error{};
            try {
                context.token->check();
                result = work(context);
            } catch (...) {
                result = current_error();
            }
            done(std::move(result));
        };
        if (at_once_) return job();
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }

    bool at_once_ = false;
    std::mutex mutex_;
    std::deque<std::function<void()>> jobs_;
};

}  // namespace sdxl
