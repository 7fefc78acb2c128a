// Threading: submit() and status() may be called from any thread; everything else happens on the loop thread,
// which alone touches the backend and the loaded model. What status() reports is copied under status_mutex_.
#include "engine/engine.h"

#include <chrono>
#include <mutex>
#include <thread>
#include <utility>

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"
#include "device/host.h"
#include "engine/job_queue.h"
#include "engine/picture_writer.h"
#include "pipeline/generation.h"
#include "pipeline/memory_check.h"
#include "weights/resolve_model.h"

namespace sdxl {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::unique_ptr<Backend> make_backend(const EngineConfig& config) {
    if (!config.device.empty() && config.device != "cpu" && config.device != "cpu:0")
        fail(ErrorCode::kUnsupported,
             "device '" + config.device + "' is not available: this build runs on 'cpu'");
    if (config.backend.empty() || config.backend == "onednn") return make_onednn_backend();
    if (config.backend == "reference") return make_reference_backend();
    fail(ErrorCode::kUnsupported,
         "backend '" + config.backend + "' is not available: 'onednn' or 'reference'");
}

class LoopEngine final : public Engine {
  public:
    explicit LoopEngine(const EngineConfig& config)
        : config_(config), backend_(make_backend(config)), loop_([this] { run_loop(); }) {}

    ~LoopEngine() override {
        {
            const std::lock_guard lock(status_mutex_);
            if (running_) running_->cancel();
        }
        for (Job& job : queue_.close()) job.abandon();
        loop_.join();
    }

    LoopEngine(const LoopEngine&) = delete;
    LoopEngine& operator=(const LoopEngine&) = delete;

    void submit(GenerationRequest request, std::shared_ptr<CancelToken> token, ProgressSink progress,
                std::function<void(Result<GenerationResult>)> done) override {
        enqueue<GenerationResult>(
            token, std::move(done),
            [this, request = std::move(request), token, progress = std::move(progress)] {
                return generate(request, *token, progress);
            });
    }

    void submit(ModelLoadRequest request, std::shared_ptr<CancelToken> token, ProgressSink progress,
                std::function<void(Result<ModelInfo>)> done) override {
        enqueue<ModelInfo>(token, std::move(done),
                           [this, request = std::move(request), token, progress = std::move(progress)] {
                               return load(request, *token, progress);
                           });
    }

    EngineStatus status() const override {
        EngineStatus status;
        status.device = "cpu";
        status.device_name = "CPU: " + processor_name();
        status.backend = std::string(backend_->name());
        status.memory_total_bytes = host_memory().total_bytes;
        status.memory_used_bytes = process_memory().resident_bytes;
        status.waiting = queue_.waiting();
        const std::lock_guard lock(status_mutex_);
        if (model_) status.models.push_back(model_info_);
        status.busy_with = busy_with_;
        return status;
    }

  private:
    template <class T, class Work>
    void enqueue(std::shared_ptr<CancelToken> token, std::function<void(Result<T>)> done, Work work) {
        auto shared_done = std::make_shared<std::function<void(Result<T>)>>(std::move(done));
        queue_.push(
            {[this, work = std::move(work), token, shared_done] { (*shared_done)(guarded<T>(*token, work)); },
             [shared_done] {
                 (*shared_done)(Error{ErrorCode::kCancelled, "cancelled: the worker is stopping", ""});
             },
             token});
    }

    // Whatever goes wrong inside a job becomes its answer; the engine goes on.
    template <class T, class Work>
    Result<T> guarded(const CancelToken& token, const Work& work) {
        try {
            token.check();
            return work();
        } catch (...) {
            backend_->release_cached_memory();
            return current_error();
        }
    }

    void run_loop() {
        while (auto job = queue_.pop()) {
            set_running(job->token);
            job->run();
            set_running(nullptr);
        }
    }

    void set_running(std::shared_ptr<CancelToken> token) {
        const std::lock_guard lock(status_mutex_);
        running_ = std::move(token);
        busy_with_.clear();
    }

    void report(const ProgressSink& progress, const ProgressEvent& event) {
        {
            const std::lock_guard lock(status_mutex_);
            busy_with_ = stage_name(event.stage);
        }
        if (progress) progress(event);
    }

    DType compute_type(Precision precision) const {
        if (precision == Precision::kF32 || !backend_->supports(DType::kBF16)) return DType::kF32;
        return DType::kBF16;
    }

    ModelInfo load(const ModelLoadRequest& request, const CancelToken& token, const ProgressSink& progress) {
        const auto path = resolve_model(request.model, config_.models_dir);
        const DType compute = compute_type(request.precision);
        if (model_ && model_->path == path && model_->compute == compute) {
            ModelInfo info = model_info_;
            info.load_seconds = 0;
            return info;
        }
        const auto begin = Clock::now();
        forget_model();  // two full-size models rarely fit side by side
        auto model =
            load_sdxl_model(path, *backend_, compute, token, [&](std::uint64_t done, std::uint64_t total) {
                report(progress, {Stage::kLoad, static_cast<double>(done), static_cast<double>(total)});
            });
        ModelInfo info;
        info.id = request.id.empty() ? path.stem().string() : request.id;
        info.path = path.string();
        info.kind = "sdxl-base";
        info.dtype = std::string(dtype_name(compute));
        info.size_bytes = model->weight_bytes;
        info.load_seconds = seconds_since(begin);
        info.warnings = model->warnings;
        const std::lock_guard lock(status_mutex_);
        model_ = std::move(model);
        model_info_ = info;
        return info;
    }

    void forget_model() {
        {
            const std::lock_guard lock(status_mutex_);
            model_.reset();
            model_info_ = {};
        }
        backend_->release_cached_memory();
    }

    std::string model_to_use(const GenerationRequest& request) const {
        if (!request.model.empty()) return request.model;
        if (model_) return model_->path.string();
        fail(ErrorCode::kInvalidRequest,
             "no model: the request names none (model_name) and none is loaded; name one or load one first");
    }

    GenerationResult generate(const GenerationRequest& request, const CancelToken& token,
                              const ProgressSink& progress) {
        const auto begin = Clock::now();
        GenerationResult result;
        const ModelInfo info = load({model_to_use(request), request.precision, ""}, token, progress);
        result.load_seconds = info.load_seconds;
        result.warnings = info.warnings;
        if (request.precision == Precision::kBF16 && model_->compute != DType::kBF16)
            result.warnings.push_back("precision: the '" + std::string(backend_->name()) +
                                      "' backend has no 16-bit type, float32 was used");
        const Context ctx{*backend_, model_->compute, &token, nullptr};
        require_memory(decode_peak_bytes(request.width, request.height, ctx.compute),
                       host_memory().available_bytes, "decoding a picture of this size");
        describe(request, result);
        make_pictures(ctx, request, progress, result);
        result.total_seconds = seconds_since(begin);
        result.peak_memory_bytes = process_memory().peak_resident_bytes;
        return result;
    }

    void describe(const GenerationRequest& request, GenerationResult& result) const {
        const SamplingPlan plan = plan_sampling(request, *model_);
        result.guidance_scale = request.guidance_scale;
        result.scheduler = plan.type;
        result.karras_sigmas = plan.config.use_karras_sigmas;
        result.timestep_spacing = plan.spacing();
        result.rng = request.rng;
        result.base_model = model_->path.string();
        result.dtype = dtype_name(model_->compute);
        result.device_name = "CPU: " + processor_name();
    }

    void make_pictures(const Context& ctx, const GenerationRequest& request, const ProgressSink& progress,
                       GenerationResult& result) {
        auto begin = Clock::now();
        report(progress, {Stage::kEncode, 0, 1});
        const Conditioning conditioning = make_conditioning(ctx, *model_, request);
        result.warnings.insert(result.warnings.end(), conditioning.warnings.begin(),
                               conditioning.warnings.end());
        result.encode_seconds = seconds_since(begin);
        for (int index = 0; index < request.batch_size; ++index) {
            const std::uint64_t seed = request.seed + static_cast<std::uint64_t>(index);
            SdxlGeneration generation(*model_, request, conditioning, seed);
            begin = Clock::now();
            generation.prepare();
            const double total = static_cast<double>(generation.steps()) * request.batch_size;
            const double before = static_cast<double>(generation.steps()) * index;
            report(progress, {Stage::kDenoise, before, total});
            for (bool last = false; !last;) {
                last = generation.step(ctx);
                report(progress, {Stage::kDenoise, before + generation.steps_done(), total});
            }
            result.steps = generation.steps();
            result.denoise_seconds += seconds_since(begin);
            begin = Clock::now();
            report(progress,
                   {Stage::kDecode, static_cast<double>(index), static_cast<double>(request.batch_size)});
            const Image image = to_image(generation.finish(ctx), request.width, request.height);
            backend_->release_cached_memory();
            result.decode_seconds += seconds_since(begin);
            report(progress,
                   {Stage::kWrite, static_cast<double>(index), static_cast<double>(request.batch_size)});
            ctx.cancel->check();
            result.images.push_back(write_picture(image, request, result, seed, index, config_.output_dir));
        }
    }

    EngineConfig config_;
    std::unique_ptr<Backend> backend_;
    JobQueue queue_;

    mutable std::mutex status_mutex_;
    std::shared_ptr<const SdxlModel> model_;  // written by the loop under the mutex, read by the loop without
    ModelInfo model_info_;
    std::string busy_with_;
    std::shared_ptr<CancelToken> running_;

    std::thread loop_;  // last: starts when everything above is there
};

}  // namespace

std::unique_ptr<Engine> make_engine(const EngineConfig& config) {
    return std::make_unique<LoopEngine>(config);
}

}  // namespace sdxl
