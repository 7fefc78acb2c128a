// What a worker says about itself. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "request/commands.h"
#include "request/names.h"

namespace sdxl {

// One job that the engine holds: running, set aside for a higher priority, or not begun.
struct JobStatus {
    enum class State { kRunning, kPaused, kWaiting };

    std::string id;    // the host's request id, "" if it sent none
    std::string what;  // "generate", "load", "unload", "cleanup"
    State state = State::kWaiting;
    Priority priority = Priority::kNormal;
    double waited_seconds = 0;              // since it was submitted, without the time in which it ran
    std::optional<ProgressEvent> progress;  // absent before it began
    std::string device = {};                // id
};
std::string_view job_state_name(JobStatus::State state);

// Since the engine was made.
struct EngineCounters {
    std::uint64_t pictures = 0;
    std::uint64_t steps = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t model_loads = 0;
};

// A device of this machine.
struct DeviceStatus {
    std::string id;          // "cpu", "cuda:0"
    std::string name;        // "CPU: <processor>"
    std::string type;        // "cpu", "cuda", "rocm", "mps", "xpu", "privateuseone"
    std::string backend;     // "onednn"
    std::string capability;  // compute capability or instruction set
    std::uint64_t memory_total_bytes = 0;
    std::uint64_t memory_available_bytes = 0;
    double score = 1;   // as hosts compare devices: CPU 1, DirectML 3, others above
    std::string fault;  // why it is not used by itself, "" if it is well
};

struct EngineStatus {
    // Of the device that requests run on which name none.
    std::string device;       // id
    std::string device_name;  // "CPU: <processor>"
    std::string backend;      // "onednn"
    std::uint64_t memory_total_bytes = 0;
    std::uint64_t memory_used_bytes = 0;  // of the CPU: resident memory of the process
    std::vector<ModelInfo> models;        // what is loaded
    std::string default_model = {};       // of requests that name none where none is loaded; "": none
    std::vector<JobStatus> jobs;          // running first, then in the order in which they will run
    std::array<int, kPriorities> waiting_by_priority{};  // jobs paused or not begun, by Priority
    std::vector<DeviceStatus> devices;                   // all that are known, that one first
    EngineCounters counters;
};

// Of one session since its start. received is the sum of the others plus what is unanswered.
struct SessionCounters {
    std::uint64_t received = 0;
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;  // with any error but the next three
    std::uint64_t cancelled = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t refused = 0;  // the queue was full
};

struct WorkerStatus {
    EngineStatus engine;
    SessionCounters requests;
    int unanswered = 0;   // requests accepted and not answered, this one not counted
    int queue_limit = 0;  // how many may be
    double uptime_seconds = 0;
    bool stopping = false;
};

}  // namespace sdxl
