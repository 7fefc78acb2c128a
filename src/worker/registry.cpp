// The table of workers: a new one is its file and a line here.
#include <utility>

#include "worker/model_loader.h"
#include "worker/pipeline_manager.h"
#include "worker/sdxl_worker.h"
#include "worker/worker.h"

namespace sdxl {
namespace {

constexpr std::pair<std::string_view, WorkerFactory> kWorkers[] = {
    {"pipeline_manager", make_pipeline_manager},
    {"sdxl_worker", make_sdxl_worker},
    {"enhanced_sdxl_worker", make_sdxl_worker},
    {"model_loader", make_model_loader},
};

}  // namespace

std::vector<std::string> worker_names() {
    std::vector<std::string> names;
    for (const auto& [name, factory] : kWorkers) names.emplace_back(name);
    return names;
}

Worker& WorkerRegistry::get(std::string_view name) {
    for (const auto& made : made_)
        if (made.name == name) return *made.worker;
    for (const auto& [known, factory] : kWorkers) {
        if (known != name) continue;
        auto worker = factory(engine_);
        worker->initialize();
        made_.push_back({std::string(name), std::move(worker)});
        return *made_.back().worker;
    }
    std::string message = "no worker is called '" + std::string(name) + "'; there are";
    for (const auto& known : worker_names()) message += " " + known;
    fail(ErrorCode::kInvalidRequest, message);
}

}  // namespace sdxl
