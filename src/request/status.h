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
};
std::string_view job_state_name(JobStatus::State state);

// Since the engine was made.
struct EngineCounters {
    std::uint64_t pictures = 0;
    std::uint64_t steps = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t model_loads = 0;
};

struct EngineStatus {
    std::string device;       // "cpu"
    std::string device_name;  // "CPU: <processor>"
    std::string backend;      // "onednn"
    std::uint64_t memory_total_bytes = 0;
    std::uint64_t memory_used_bytes = 0;  // resident memory of the process
    std::vector<ModelInfo> models;        // what is loaded
    std::vector<JobStatus> jobs;          // running first, then in the order in which they will run
    std::array<int, kPriorities> waiting_by_priority{};  // jobs paused or not begun, by Priority
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
