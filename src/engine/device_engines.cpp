// Threading: mutex_ guards which engines there are and which is the worker's own; no engine is called under
// it but to be made. Engines live as long as this object, so that a pointer to one is good without it.
#include "engine/device_engines.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <type_traits>
#include <utility>

#include "core/log.h"
#include "device/cpu_device.h"

namespace sdxl {
namespace {

// Collects what several engines answer to one request; the last one answers for all.
template <class T>
class Gather {
  public:
    using Merge = std::function<void(T& sum, T one)>;

    Gather(std::size_t count, Merge merge, JobDone<T> done)
        : left_(count), merge_(std::move(merge)), done_(std::move(done)) {}

    void end(Result<T> result) {
        {
            const std::lock_guard lock(mutex_);
            if (!result.ok()) {
                error_ = result.error();
            } else if (!sum_) {
                sum_ = std::move(*result);
            } else {
                merge_(*sum_, std::move(*result));
            }
            if (--left_ > 0) return;
        }
        if (sum_) return done_(std::move(*sum_));
        done_(*error_);
    }

  private:
    std::mutex mutex_;
    std::size_t left_;
    Merge merge_;
    JobDone<T> done_;
    std::optional<T> sum_;
    std::optional<Error> error_;
};

template <class T>
void append(std::vector<T>& all, std::vector<T> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

void merge_unloaded(ModelUnloadResult& sum, ModelUnloadResult one) {
    append(sum.models, std::move(one.models));
    append(sum.warnings, std::move(one.warnings));
}

void merge_cleaned(CleanupResult& sum, CleanupResult one) {
    append(sum.unloaded, std::move(one.unloaded));
    append(sum.warnings, std::move(one.warnings));
    sum.freed_bytes += one.freed_bytes;
    sum.memory_used_bytes = std::max(sum.memory_used_bytes, one.memory_used_bytes);
}

DeviceStatus status_of(const DeviceState& device) {
    const DeviceInfo& info = device.info;
    return {info.id,
            device_label(info),
            info.type,
            info.backend,
            info.capability,
            info.memory.total_bytes,
            info.memory.available_bytes,
            device.score,
            device.fault};
}

class DeviceEngines final : public Engine {
  public:
    DeviceEngines(const EngineConfig& config, DeviceSources sources)
        : config_(config), devices_(config.devices, std::move(sources)) {
        auto opened = devices_.open_default();
        own_ = opened.info.id;
        engines_[own_] = make_device_engine(config_, opened.info, std::move(opened.backend));
    }

    void submit(GenerationRequest request, JobContext context, JobDone<GenerationResult> done) override {
        route(std::move(request), std::move(context), std::move(done));
    }

    void submit(ModelLoadRequest request, JobContext context, JobDone<ModelInfo> done) override {
        route(std::move(request), std::move(context), std::move(done));
    }

    void submit(ModelUnloadRequest request, JobContext context, JobDone<ModelUnloadResult> done) override {
        submit_to_all(request, context, std::move(done), merge_unloaded);
    }

    void submit(CleanupRequest request, JobContext context, JobDone<CleanupResult> done) override {
        submit_to_all(request, context, std::move(done), merge_cleaned);
    }

    EngineStatus status() const override {
        const auto known = devices_.refresh();
        EngineStatus all;
        for (const auto& [id, engine] : engines()) {
            EngineStatus one = engine->status();
            for (ModelInfo& model : one.models) model.device = id;
            for (JobStatus& job : one.jobs) job.device = id;
            if (all.device.empty()) {  // the worker's own comes first
                all = std::move(one);
                continue;
            }
            append(all.models, std::move(one.models));
            append(all.jobs, std::move(one.jobs));
            for (std::size_t i = 0; i < all.waiting_by_priority.size(); ++i)
                all.waiting_by_priority[i] += one.waiting_by_priority[i];
            all.counters.pictures += one.counters.pictures;
            all.counters.steps += one.counters.steps;
            all.counters.preemptions += one.counters.preemptions;
            all.counters.model_loads += one.counters.model_loads;
        }
        std::stable_partition(all.jobs.begin(), all.jobs.end(),
                              [](const JobStatus& job) { return job.state == JobStatus::State::kRunning; });
        for (const DeviceState& device : known) {
            const bool own = device.info.id == all.device;
            all.devices.insert(own ? all.devices.begin() : all.devices.end(), status_of(device));
            if (!own || device.info.type == "cpu") continue;
            all.memory_total_bytes = device.info.memory.total_bytes;
            all.memory_used_bytes = device.info.memory.total_bytes - device.info.memory.available_bytes;
        }
        return all;
    }

    Result<std::vector<ModelInfo>> model_info(const ModelInfoRequest& request) const override {
        Result<std::vector<ModelInfo>> all = Error{};
        for (const auto& [id, engine] : engines()) {
            auto found = engine->model_info(request);
            if (!found.ok()) {
                if (!all.ok()) all = std::move(found);
                continue;
            }
            for (ModelInfo& model : *found) model.device = id;
            if (all.ok()) {
                add_loaded(*all, std::move(*found));
            } else {
                all = std::move(found);
            }
        }
        return all;
    }

    std::vector<Error> check(const GenerationRequest& request) const override {
        try {
            const std::string id = devices_.find(request.device, own()).id;
            for (const auto& [known, engine] : engines())
                if (known == id) return engine->check(request);
            return engines().front().second->check(request);  // what does not depend on the device
        } catch (...) {
            return {current_error()};
        }
    }

    void select_device(const DeviceChoice& choice) override {
        const std::string id = devices_.find(choice, own()).id;
        engine_of(id);
        const std::lock_guard lock(mutex_);
        own_ = id;
    }

  private:
    std::string own() const {
        const std::lock_guard lock(mutex_);
        return own_;
    }

    // Those that there are, the worker's own first.
    std::vector<std::pair<std::string, DeviceEngine*>> engines() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::pair<std::string, DeviceEngine*>> all;
        for (const auto& [id, engine] : engines_)
            all.insert(id == own_ ? all.begin() : all.end(), {id, engine.get()});
        return all;
    }

    DeviceEngine& engine_of(const std::string& id) {
        const std::lock_guard lock(mutex_);
        auto& engine = engines_[id];
        if (engine) return *engine;
        try {
            auto opened = devices_.open(id);
            log_info("device '" + id + "' is used from now on: " + device_label(opened.info));
            engine = make_device_engine(config_, opened.info, std::move(opened.backend));
        } catch (...) {
            engines_.erase(id);
            throw;
        }
        return *engine;
    }

    // Fails where the last check found something wrong, which is then looked at again.
    void require_well(const std::string& id, DeviceEngine& engine) {
        for (const DeviceState& device : devices_.devices()) {
            if (device.info.id != id || device.fault.empty()) continue;
            examine(id, engine);
            fail(ErrorCode::kInternal, "device '" + id + "' does not work: " + device.fault +
                                           "; it is being checked again: ask once more");
        }
    }

    void examine(const std::string& id, DeviceEngine& engine) {
        engine.examine([this, id](Result<std::string> fault) {
            if (fault.ok()) devices_.set_fault(id, *fault);
        });
    }

    template <class Request, class T>
    void route(Request request, JobContext context, JobDone<T> done) {
        try {
            const auto found = devices_.find(request.device, own());
            DeviceEngine& engine = engine_of(found.id);
            require_well(found.id, engine);
            std::string warning;
            if (!found.warning.empty())
                warning =
                    request.device.pointer + (request.device.pointer.empty() ? "" : " ") + found.warning;
            engine.submit(std::move(request), std::move(context), watched(found.id, engine, warning, done));
        } catch (...) {
            done(current_error());
        }
    }

    // Tells which device it was, and has that checked where the error may be its own.
    template <class T>
    JobDone<T> watched(const std::string& id, DeviceEngine& engine, const std::string& warning,
                       JobDone<T> done) {
        return [this, id, &engine, warning, done = std::move(done)](Result<T> result) {
            const bool suspicious = !result.ok() && (result.error().code == ErrorCode::kInternal ||
                                                     result.error().code == ErrorCode::kOutOfMemory);
            if (result.ok()) {
                result->device = id;
                if (!warning.empty()) result->warnings.insert(result->warnings.begin(), warning);
            }
            if (suspicious) examine(id, engine);
            done(std::move(result));
        };
    }

    template <class Request, class T>
    void submit_to_all(const Request& request, const JobContext& context, JobDone<T> done,
                       typename Gather<T>::Merge merge) {
        const auto all = engines();
        const auto gather = std::make_shared<Gather<T>>(all.size(), std::move(merge), std::move(done));
        for (const auto& [id, engine] : all)
            engine->submit(request, context, [gather](Result<T> result) { gather->end(std::move(result)); });
    }

    // Of a model that lies in the folder the one that is loaded is told, wherever that is.
    static void add_loaded(std::vector<ModelInfo>& all, std::vector<ModelInfo> more) {
        for (ModelInfo& model : more) {
            if (!model.loaded) continue;
            const auto same = std::find_if(all.begin(), all.end(), [&](const ModelInfo& one) {
                return !one.loaded && one.path == model.path;
            });
            if (same == all.end()) {
                all.push_back(std::move(model));
            } else {
                *same = std::move(model);
            }
        }
    }

    EngineConfig config_;
    mutable DeviceManager devices_;  // locks for itself
    mutable std::mutex mutex_;
    std::string own_;
    std::map<std::string, std::unique_ptr<DeviceEngine>> engines_;
};

}  // namespace

std::unique_ptr<Engine> make_engines(const EngineConfig& config, DeviceSources sources) {
    return std::make_unique<DeviceEngines>(config, std::move(sources));
}

std::unique_ptr<Engine> make_engine(const EngineConfig& config) {
    return make_engines(config, system_devices(config.devices));
}

}  // namespace sdxl
