// Engine: runs models on one device. It owns the loop thread that advances generations one step at a time.
//
// Jobs are submitted from any thread and run in order of submission; `done` is called exactly once for each,
// on the loop thread. status() answers at once from any thread, also while a picture is being made.
// Destroying the engine cancels what runs and waits for it; jobs that had not ended get kCancelled.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cancel_token.h"
#include "core/error.h"
#include "request/generation.h"

namespace sdxl {

struct ModelLoadRequest {
    std::string model;  // path, name under the models folder, or hub id
    Precision precision = Precision::kAuto;
    std::string id;  // the host's name for it; "" takes the model's own
};

struct ModelInfo {
    std::string id;
    std::string path;
    std::string kind;  // "sdxl-base"
    std::string dtype;
    std::uint64_t size_bytes = 0;  // weights as they lie in memory
    double load_seconds = 0;       // 0 if it was loaded already
    std::vector<std::string> warnings;
};

struct EngineStatus {
    std::string device;       // "cpu"
    std::string device_name;  // "CPU: <processor>"
    std::string backend;      // "onednn"
    std::uint64_t memory_total_bytes = 0;
    std::uint64_t memory_used_bytes = 0;  // resident memory of the process
    std::vector<ModelInfo> models;        // what is loaded
    std::string busy_with;                // stage name of the running job, "" when idle
    int waiting = 0;                      // jobs not started
};

class Engine {
  public:
    virtual ~Engine() = default;

    virtual void submit(GenerationRequest request, std::shared_ptr<CancelToken> token, ProgressSink progress,
                        std::function<void(Result<GenerationResult>)> done) = 0;
    virtual void submit(ModelLoadRequest request, std::shared_ptr<CancelToken> token, ProgressSink progress,
                        std::function<void(Result<ModelInfo>)> done) = 0;
    virtual EngineStatus status() const = 0;
};

struct EngineConfig {
    std::string models_dir;
    std::string output_dir;
    std::string device;   // "" or "cpu", "cpu:0": this worker's only device today
    std::string backend;  // "" = the device's best; "onednn", "reference"
};

// Fails with kUnsupported for a device or backend this build does not have.
std::unique_ptr<Engine> make_engine(const EngineConfig& config);

}  // namespace sdxl
