// Engine: runs models. There is one for each device that is used, with a loop thread that advances jobs one
// step at a time, and one (device_engines.h) that hands each job to that of its device.
//
// Jobs are submitted from any thread. The one with the highest priority runs, in order of submission among
// equals; one of higher priority takes over at the next step boundary, and who was set aside resumes to the
// same picture. A job that waits rises by one priority after every `aging_seconds`, so that none starves.
// `done` is called exactly once for each job, on a thread of the engine or inside submit(); it must return
// quickly and may submit. A token that is raised (cancelled, or its deadline over) ends its job within one
// step if it runs, and at once if it waits.
//
// status(), model_info() and check() answer at once from any thread, also while a picture is being made.
// Destroying the engine cancels what runs and waits for it; jobs that had not ended get kCancelled.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "core/error.h"
#include "device/device_options.h"
#include "request/commands.h"
#include "request/generation.h"
#include "request/status.h"

namespace sdxl {

// How a job is to be run, whatever it does.
struct JobContext {
    std::string id;  // for status
    Priority priority = Priority::kNormal;
    std::shared_ptr<CancelToken> token = std::make_shared<CancelToken>();  // never null
    ProgressSink progress;                                                 // may be empty
    // How often `progress` is called while denoising, every step for 0; every stage's begin is told too.
    ProgressWish wish;
};

template <class T>
using JobDone = std::function<void(Result<T>)>;

class Engine {
  public:
    virtual ~Engine() = default;

    virtual void submit(GenerationRequest request, JobContext context, JobDone<GenerationResult> done) = 0;
    virtual void submit(ModelLoadRequest request, JobContext context, JobDone<ModelInfo> done) = 0;
    virtual void submit(ModelUnloadRequest request, JobContext context, JobDone<ModelUnloadResult> done) = 0;
    virtual void submit(CleanupRequest request, JobContext context, JobDone<CleanupResult> done) = 0;

    virtual EngineStatus status() const = 0;
    // Reads no more than headers. Fails as resolve_model and open_checkpoint do.
    virtual Result<std::vector<ModelInfo>> model_info(const ModelInfoRequest& request) const = 0;
    // What would make this request fail before its first step: no such model, no memory, a place that may not
    // be written. Empty if nothing is known to.
    virtual std::vector<Error> check(const GenerationRequest& request) const = 0;
    // Requests that name no device run on this one from now on. Fails where it is not there.
    virtual void select_device(const DeviceChoice& choice) = 0;
};

// The engine of one device; runs whatever it is given there.
class DeviceEngine : public Engine {
  public:
    // Checks the device between two steps; `done` is told what is wrong with it, "" for nothing.
    virtual void examine(JobDone<std::string> done) = 0;
    void select_device(const DeviceChoice&) override {}  // there is no other
};

struct EngineConfig {
    std::string models_dir;
    std::string output_dir;
    std::string default_model;     // for requests that name none where none is loaded; "": there is none
    bool default_is_demo = false;  // it is the one that comes with the worker
    DeviceOptions devices;
    bool confine = false;  // models and pictures only inside models_dir and output_dir
    bool eager = false;    // each step is asked of the device op by op, also where it could be replayed
    double aging_seconds = 60;
    // Of weights under adapters that are kept for the next request, at most; less where memory is short.
    double adapter_cache_gb = 4;
    double model_cache_gb = 0;  // of models' weights that are kept ready, at most; 0: as much as memory holds
    double memory_gb = 0;       // that the worker takes, at most; 0: what the system has
};

std::unique_ptr<DeviceEngine> make_device_engine(const EngineConfig& config, const DeviceInfo& device,
                                                 std::unique_ptr<Backend> backend);

}  // namespace sdxl
