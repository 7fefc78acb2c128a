// FakeEngine: an engine whose jobs end when the test says so, on a thread of its own choice.
//
// Jobs wait in order of submission until finish_next(), or end at once after finish_at_once(). A job whose
// token says stop ends with that error, as in the real engine. Any thread.
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
    void submit(GenerationRequest request, std::shared_ptr<CancelToken> token, ProgressSink,
                std::function<void(Result<GenerationResult>)> done) override {
        seen.push_back(request);
        take([request, token, done] {
            try {
                token->check();
                GenerationResult result;
                result.images.push_back({"/out/" + request.prompt + ".png", {}, request.seed, 64, 64});
                done(std::move(result));
            } catch (...) {
                done(current_error());
            }
        });
        tokens.push_back(token);
    }

    void submit(ModelLoadRequest request, std::shared_ptr<CancelToken> token, ProgressSink,
                std::function<void(Result<ModelInfo>)> done) override {
        take([request, token, done] {
            if (request.model == "missing")
                return done(Error{ErrorCode::kNotFound, "no model is called missing", "/data/model_path"});
            ModelInfo info;
            info.id = request.id.empty() ? request.model : request.id;
            info.path = "/models/" + request.model;
            done(std::move(info));
        });
        tokens.push_back(token);
    }

    EngineStatus status() const override {
        EngineStatus status;
        status.device = "cpu";
        status.device_name = "CPU: fake";
        status.backend = "reference";
        return status;
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
    std::vector<std::shared_ptr<CancelToken>> tokens;

  private:
    void take(std::function<void()> job) {
        if (at_once_) return job();
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }

    bool at_once_ = false;
    std::mutex mutex_;
    std::deque<std::function<void()>> jobs_;
};

}  // namespace sdxl
