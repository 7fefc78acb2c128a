// What a worker says about itself, in both shapes.
#include "protocol/answers.h"

namespace sdxl {
namespace {

const char* state_of(const WorkerStatus& status) {
    if (status.stopping) return "stopping";
    return status.engine.jobs.empty() ? "ready" : "busy";
}

// The stage that runs, null when idle.
OrderedJson busy_with(const WorkerStatus& status) {
    if (status.engine.jobs.empty()) return nullptr;
    const JobStatus& first = status.engine.jobs.front();
    return first.progress ? OrderedJson(stage_name(first.progress->stage)) : OrderedJson(first.what);
}

OrderedJson queue_of(const WorkerStatus& status) {
    OrderedJson queue;
    for (int i = 0; i < kPriorities; ++i)
        queue[std::string(priority_name(static_cast<Priority>(i)))] =
            status.engine.waiting_by_priority[static_cast<std::size_t>(i)];
    queue["unanswered"] = status.unanswered;
    queue["limit"] = status.queue_limit;
    return queue;
}

int waiting(const WorkerStatus& status) {
    int sum = 0;
    for (const int count : status.engine.waiting_by_priority) sum += count;
    return sum;
}

bool has_steps(const std::optional<ProgressEvent>& progress) {
    return progress && progress->stage == Stage::kDenoise;
}

OrderedJson message_job(const JobStatus& job) {
    const auto& progress = job.progress;
    return {
        {"request_id", or_null(job.id)},
        {"command", job.what},
        {"device", or_null(job.device)},
        {"state", job_state_name(job.state)},
        {"priority", priority_name(job.priority)},
        {"waited_seconds", job.waited_seconds},
        {"stage", progress ? OrderedJson(stage_name(progress->stage)) : OrderedJson(nullptr)},
        {"step", has_steps(progress) ? OrderedJson(static_cast<long>(progress->done)) : OrderedJson(nullptr)},
        {"total_steps",
         has_steps(progress) ? OrderedJson(static_cast<long>(progress->total)) : OrderedJson(nullptr)},
        {"percent", progress ? progress->percent : 0.0},
        {"elapsed_seconds", progress ? progress->elapsed_seconds : 0.0},
        {"estimated_seconds_left", progress ? or_null(progress->seconds_left) : OrderedJson(nullptr)}};
}

OrderedJson action_job(const JobStatus& job) {
    const auto& progress = job.progress;
    return {
        {"requestId", or_null(job.id)},
        {"command", job.what},
        {"device", or_null(job.device)},
        {"state", job_state_name(job.state)},
        {"priority", priority_name(job.priority)},
        {"waitedSeconds", job.waited_seconds},
        {"stage", progress ? OrderedJson(stage_name(progress->stage)) : OrderedJson(nullptr)},
        {"step", has_steps(progress) ? OrderedJson(static_cast<long>(progress->done)) : OrderedJson(nullptr)},
        {"totalSteps",
         has_steps(progress) ? OrderedJson(static_cast<long>(progress->total)) : OrderedJson(nullptr)},
        {"percent", progress ? progress->percent : 0.0},
        {"elapsedSeconds", progress ? progress->elapsed_seconds : 0.0},
        {"estimatedSecondsLeft", progress ? or_null(progress->seconds_left) : OrderedJson(nullptr)}};
}

template <class Shape>
OrderedJson list_of(const WorkerStatus& status, Shape shape) {
    OrderedJson list = OrderedJson::array();
    for (const JobStatus& job : status.engine.jobs) list.push_back(shape(job));
    return list;
}

}  // namespace

OrderedJson devices_json(const EngineStatus& status, bool camel_case) {
    const auto name = [&](const char* snake, const char* camel) { return camel_case ? camel : snake; };
    OrderedJson devices = OrderedJson::array();
    for (const DeviceStatus& device : status.devices)
        devices.push_back({{"device", device.id},
                           {"name", device.name},
                           {"type", device.type},
                           {"backend", device.backend},
                           {"capability", or_null(device.capability)},
                           {name("total_memory", "totalMemory"), device.memory_total_bytes},
                           {name("available_memory", "availableMemory"), device.memory_available_bytes},
                           {name("performance_score", "performanceScore"), device.score},
                           {"healthy", device.fault.empty()},
                           {"fault", or_null(device.fault)}});
    return devices;
}

OrderedJson message_status(const WorkerStatus& status) {
    const EngineStatus& engine = status.engine;
    OrderedJson models = OrderedJson::array();
    for (const ModelInfo& model : engine.models) models.push_back(message_model(model));
    return {
        {"status", state_of(status)},
        {"device", engine.device},
        {"device_name", engine.device_name},
        {"backend", engine.backend},
        {"devices", devices_json(engine, false)},
        {"memory", {{"total_bytes", engine.memory_total_bytes}, {"used_bytes", engine.memory_used_bytes}}},
        {"models", std::move(models)},
        {"default_model", or_null(engine.default_model)},
        {"busy_with", busy_with(status)},
        {"waiting", waiting(status)},
        {"queue", queue_of(status)},
        {"requests", list_of(status, message_job)},
        {"counters",
         {{"requests",
           {{"received", status.requests.received},
            {"succeeded", status.requests.succeeded},
            {"failed", status.requests.failed},
            {"cancelled", status.requests.cancelled},
            {"timed_out", status.requests.timed_out},
            {"refused", status.requests.refused}}},
          {"pictures", engine.counters.pictures},
          {"steps", engine.counters.steps},
          {"preemptions", engine.counters.preemptions},
          {"model_loads", engine.counters.model_loads}}},
        {"uptime_seconds", status.uptime_seconds}};
}

OrderedJson action_status(const WorkerStatus& status) {
    const EngineStatus& engine = status.engine;
    OrderedJson models = OrderedJson::array();
    for (const ModelInfo& model : engine.models) models.push_back(action_model(model));
    return {{"status", state_of(status)},
            {"device", engine.device},
            {"deviceName", engine.device_name},
            {"backend", engine.backend},
            {"devices", devices_json(engine, true)},
            {"memoryTotalBytes", engine.memory_total_bytes},
            {"memoryUsedBytes", engine.memory_used_bytes},
            {"models", std::move(models)},
            {"defaultModel", or_null(engine.default_model)},
            {"busyWith", busy_with(status)},
            {"waiting", waiting(status)},
            {"queue", queue_of(status)},
            {"requests", list_of(status, action_job)},
            {"counters",
             {{"requests",
               {{"received", status.requests.received},
                {"succeeded", status.requests.succeeded},
                {"failed", status.requests.failed},
                {"cancelled", status.requests.cancelled},
                {"timedOut", status.requests.timed_out},
                {"refused", status.requests.refused}}},
              {"pictures", engine.counters.pictures},
              {"steps", engine.counters.steps},
              {"preemptions", engine.counters.preemptions},
              {"modelLoads", engine.counters.model_loads}}},
            {"uptimeSeconds", status.uptime_seconds},
            {"gpuId", or_null(engine.device)}};
}

}  // namespace sdxl
