// Threading: submit(), status(), model_info() and check() may be called from any thread; models are loaded
// and tasks advanced on the loop thread, which alone touches the backend. The queue and the model cache lock
// for themselves.
#include "engine/engine.h"

#include <malloc.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/host.h"
#include "device/cpu_device.h"
#include "device/device_check.h"
#include "engine/checks.h"
#include "engine/generation_task.h"
#include "engine/job_queue.h"
#include "engine/memory_keeper.h"
#include "engine/model_cache.h"

namespace sdxl {
namespace {

std::uint64_t bytes_of(double gigabytes) {
    constexpr double kGigabyte = 1e9;
    return static_cast<std::uint64_t>(gigabytes * kGigabyte);
}

// A job of one unit.
template <class T>
class SimpleTask final : public Task {
  public:
    using Work = std::function<T()>;

    SimpleTask(std::string what, JobContext context, JobDone<T> done, Work work)
        : what_(std::move(what)),
          context_(std::move(context)),
          done_(std::move(done)),
          work_(std::move(work)) {}

    bool advance() override {
        Result<T> result = Error{};
        try {
            context_.token->check();
            result = work_();
        } catch (...) {
            result = current_error();
        }
        done_(std::move(result));
        return true;
    }
    void end(const Error& error) override { done_(error); }
    JobStatus describe() const override {
        JobStatus status;
        status.id = context_.id;
        status.what = what_;
        return status;
    }

  private:
    std::string what_;
    JobContext context_;
    JobDone<T> done_;
    Work work_;
};

class LoopEngine final : public DeviceEngine {
  public:
    LoopEngine(const EngineConfig& config, DeviceInfo device, std::unique_ptr<Backend> backend)
        : backend_(std::move(backend)),
          models_(*backend_, config.models_dir, config.confine, config.default_model,
                  bytes_of(config.model_cache_gb)),
          adapters_(*backend_, config.models_dir, config.confine),
          parts_{config, std::move(device), *backend_, models_, adapters_, {}, {}},
          queue_(std::chrono::duration<double>(config.aging_seconds)),
          loop_([this] { run_loop(); }) {
        models_.set_spare([this] { adapters_.drop_networks(); });  // no job is there yet
    }

    ~LoopEngine() override {
        queue_.close();
        loop_.join();
    }

    LoopEngine(const LoopEngine&) = delete;
    LoopEngine& operator=(const LoopEngine&) = delete;

    void submit(GenerationRequest request, JobContext context, JobDone<GenerationResult> done) override {
        const Priority priority = context.priority;
        auto token = context.token;
        queue_.push(make_generation_task(parts_, std::move(request), std::move(context), std::move(done)),
                    priority, std::move(token));
    }

    void submit(ModelLoadRequest request, JobContext context, JobDone<ModelInfo> done) override {
        auto work = [this, request = std::move(request), token = context.token, progress = context.progress] {
            return load(request, *token, progress);
        };
        push<ModelInfo>("load", std::move(context), std::move(done), std::move(work));
    }

    void submit(ModelUnloadRequest request, JobContext context, JobDone<ModelUnloadResult> done) override {
        auto work = [this, request = std::move(request)] { return unload(request); };
        push<ModelUnloadResult>("unload", std::move(context), std::move(done), std::move(work));
    }

    void submit(CleanupRequest request, JobContext context, JobDone<CleanupResult> done) override {
        auto work = [this, request] { return clean_up(request); };
        push<CleanupResult>("cleanup", std::move(context), std::move(done), std::move(work));
    }

    EngineStatus status() const override {
        EngineStatus status;
        status.device = parts_.device.id;
        status.device_name = device_label(parts_.device);
        status.backend = std::string(backend_->name());
        status.memory_total_bytes = host_memory().total_bytes;
        status.memory_used_bytes = process_memory().resident_bytes;
        status.models = models_.loaded();
        status.default_model = parts_.config.default_model;
        status.jobs = queue_.describe();
        for (const JobStatus& job : status.jobs)
            if (job.state != JobStatus::State::kRunning)
                ++status.waiting_by_priority[static_cast<std::size_t>(job.priority)];
        status.counters = {parts_.pictures, parts_.steps, queue_.preemptions(), models_.loads()};
        return status;
    }

    Result<std::vector<ModelInfo>> model_info(const ModelInfoRequest& request) const override {
        try {
            return describe_models(request, parts_.config, models_);
        } catch (...) {
            return current_error();
        }
    }

    void examine(JobDone<std::string> done) override {
        JobContext context;
        context.priority = Priority::kCritical;
        push<std::string>("check", std::move(context), std::move(done),
                          [this] { return find_fault(*backend_); });
    }

    std::vector<Error> check(const GenerationRequest& request) const override {
        return check_generation(request, parts_.config, models_, adapters_, memory_use(parts_),
                                parts_.form_of(request.precision));
    }

  private:
    template <class T>
    void push(const char* what, JobContext context, JobDone<T> done, typename SimpleTask<T>::Work work) {
        const Priority priority = context.priority;
        auto token = context.token;
        queue_.push(
            std::make_unique<SimpleTask<T>>(what, std::move(context), std::move(done), std::move(work)),
            priority, std::move(token));
    }

    void run_loop() {
        while (const auto job = queue_.take()) {
            bool ours = true;
            while (ours) {
                if (job->task().advance()) {
                    queue_.forget(job);
                    ours = false;
                } else {
                    ours = queue_.keep(job);
                }
            }
        }
    }

    ModelInfo load(const ModelLoadRequest& request, const CancelToken& token, const ProgressSink& progress) {
        try {
            return load_all(request, token, progress);
        } catch (...) {
            backend_->release_cached_memory();  // what had been packed by then
            throw;
        }
    }

    ModelInfo load_all(const ModelLoadRequest& request, const CancelToken& token,
                       const ProgressSink& progress) {
        const WeightForm form = parts_.form_of(request.precision);
        ModelCache::Suite suite = models_.suite_of(request.model, request.parts);
        if (!request.vae.empty()) suite.vae = models_.path_of(request.vae);
        if (!request.refiner.empty()) suite.refiner = models_.path_of(request.refiner);
        // The refiner first: the model itself is then the one that was used last.
        std::vector<std::string> warnings;
        if (!suite.refiner.empty()) load_one({{suite.refiner}}, form, token, progress, warnings);
        ModelInfo info = load_one(suite, form, token, progress, warnings);
        if (!request.id.empty()) {
            models_.name(request.id, suite);
            info.id = request.id;
        }
        info.warnings.insert(info.warnings.end(), warnings.begin(), warnings.end());
        if (!suite.refiner.empty() && !models_.has({suite.refiner}))
            info.warnings.push_back(
                "the refiner was loaded and had to make room again: memory does not hold both; "
                "it is loaded when a request names it");
        return info;
    }

    // All of it where memory holds that beside the making of a picture of usual size.
    ModelInfo load_one(const ModelCache::Suite& suite, WeightForm form, const CancelToken& token,
                       const ProgressSink& progress, std::vector<std::string>& warnings) {
        const auto found = models_.get(suite.files, form);
        ModelInfo info = found.info;
        if (!suite.vae.empty()) info.parts.emplace_back("vae", suite.vae.string());
        if (!suite.refiner.empty()) info.parts.emplace_back("refiner", suite.refiner.string());
        MemoryKeeper memory(parts_);
        try {
            memory.plan(*found.model, MemoryNeeds{}, MemoryWishes{});
        } catch (const Failure& failure) {
            if (failure.error().code != ErrorCode::kOutOfMemory) throw;
            warnings.push_back(failure.error().message);
            return info;
        }
        if (!memory.current().stays()) {
            warnings.push_back("memory does not hold all of '" + suite.files.describe() +
                               "' at once: its weights are read from its files when they are needed");
            return info;
        }
        memory.place(*found.model);
        const auto tell = [&](std::uint64_t done, std::uint64_t total) {
            if (!progress) return;
            ProgressEvent event;
            event.done = static_cast<double>(done);
            event.total = static_cast<double>(total);
            event.percent = total > 0 ? 100 * event.done / event.total : 0;
            progress(event);
        };
        info.load_seconds = models_.make_ready(*found.model, {true, true, suite.vae.empty()}, token, tell);
        if (!suite.vae.empty())
            models_.get_vae(suite.vae, form.compute, warnings)->placement().make_all(token);
        info.memory_bytes = resident_bytes(*found.model);
        return info;
    }

    ModelUnloadResult unload(const ModelUnloadRequest& request) {
        ModelUnloadResult result;
        result.models = models_.unload(request.model);
        if (request.model.empty()) adapters_.drop_networks();
        if (result.models.empty() && !request.model.empty()) {
            const auto loaded = models_.loaded();
            fail(ErrorCode::kNotFound, "no model '" + request.model + "' is loaded" +
                                           (loaded.empty() ? "; none is" : "; '" + loaded[0].id + "' is"));
        }
        for (const JobStatus& job : queue_.describe())
            if (!result.models.empty() && job.state == JobStatus::State::kPaused)
                result.warnings.push_back("a generation that was set aside will load it again");
        ::malloc_trim(0);
        return result;
    }

    CleanupResult clean_up(const CleanupRequest& request) {
        CleanupResult result;
        const auto before = process_memory().resident_bytes;
        adapters_.drop_networks();
        if (request.unload_models)
            result.unloaded = models_.unload("");
        else
            models_.drop_unused();
        backend_->release_cached_memory();
        ::malloc_trim(0);
        result.memory_used_bytes = process_memory().resident_bytes;
        result.freed_bytes = before > result.memory_used_bytes ? before - result.memory_used_bytes : 0;
        return result;
    }

    std::unique_ptr<Backend> backend_;
    ModelCache models_;
    AdapterLibrary adapters_;
    EngineParts parts_;
    JobQueue queue_;
    std::thread loop_;  // last: starts when everything above is there
};

}  // namespace

std::unique_ptr<DeviceEngine> make_device_engine(const EngineConfig& config, const DeviceInfo& device,
                                                 std::unique_ptr<Backend> backend) {
    return std::make_unique<LoopEngine>(config, device, std::move(backend));
}

}  // namespace sdxl
