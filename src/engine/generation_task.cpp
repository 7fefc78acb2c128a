// Threading: advance() and destruction on the loop thread; end() and describe() on any. They share only the
// meter and the list of written files, which lock, and `done_`, which the queue lets one of them call.
#include "engine/generation_task.h"

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "device/host.h"
#include "engine/picture_writer.h"
#include "engine/progress_meter.h"
#include "pipeline/generation.h"
#include "pipeline/latent_preview.h"
#include "pipeline/memory_check.h"

namespace sdxl {

DType EngineParts::compute_type(Precision precision) const {
    if (precision == Precision::kF32 || !backend.supports(DType::kBF16)) return DType::kF32;
    return DType::kBF16;
}

namespace {

using Clock = std::chrono::steady_clock;

// Adds the time of a scope to a sum.
class Timed {
  public:
    explicit Timed(double& sum) : sum_(sum) {}
    ~Timed() { sum_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

  private:
    double& sum_;
    Clock::time_point begin_ = Clock::now();
};

class GenerationTask final : public Task {
  public:
    GenerationTask(EngineParts& parts, GenerationRequest request, JobContext context,
                   JobDone<GenerationResult> done)
        : parts_(parts), request_(std::move(request)), context_(std::move(context)), done_(std::move(done)) {}

    bool advance() override {
        meter_.resume();
        try {
            const Timed timed(result_.total_seconds);
            context_.token->check();
            if (!unit()) {
                meter_.pause();
                return false;
            }
        } catch (...) {
            parts_.backend.release_cached_memory();
            end(current_error());
            return true;
        }
        result_.peak_memory_bytes = process_memory().peak_resident_bytes;
        done_(std::move(result_));
        return true;
    }

    void end(const Error& error) override {
        Error told = error;
        const std::lock_guard lock(written_mutex_);
        if (!written_.empty()) {
            told.message += "; written before that: ";
            for (std::size_t i = 0; i < written_.size(); ++i)
                told.message += (i > 0 ? ", " : "") + written_[i];
        }
        done_(told);
    }

    JobStatus describe() const override {
        JobStatus status;
        status.id = context_.id;
        status.what = "generate";
        status.progress = meter_.last();
        return status;
    }

  private:
    enum class Phase { kLoad, kEncode, kDenoise, kDecode };

    bool unit() {
        if (phase_ == Phase::kLoad) {
            load();
            phase_ = Phase::kEncode;
            return false;
        }
        const auto model = model_again();
        const Context ctx{parts_.backend, model->compute, context_.token.get(), nullptr};
        switch (phase_) {
            case Phase::kLoad:
                break;
            case Phase::kEncode:
                encode(ctx, *model);
                break;
            case Phase::kDenoise:
                step(ctx, *model);
                break;
            case Phase::kDecode:
                decode(ctx, *model);
                if (static_cast<int>(result_.images.size()) == request_.batch_size) return true;
                begin_picture(ctx, *model);
                break;
        }
        return false;
    }

    void tell(Stage stage, double done, double total, bool wanted = true) {
        ProgressEvent event = meter_.tell(stage, done, total);
        if (!context_.progress || !wanted) return;
        if (context_.wish.preview && generation_ && stage == Stage::kDenoise)
            event.preview = std::make_shared<Image>(
                latent_preview(generation_->latents(), request_.height / 8, request_.width / 8));
        context_.progress(event);
    }

    std::shared_ptr<const SdxlModel> find_model() {
        if (!stamp_.empty() && stamp_ != ModelCache::stamp_of(path_))
            fail(ErrorCode::kInvalidModel,
                 "the model " + path_.string() + " was changed while the picture was made; ask again");
        const auto found =
            parts_.models.get(path_, parts_.compute_type(request_.precision), "", *context_.token,
                              [this](std::uint64_t done, std::uint64_t total) {
                                  tell(Stage::kLoad, static_cast<double>(done), static_cast<double>(total));
                              });
        if (found.loaded_now) result_.load_seconds += found.info.load_seconds;
        stamp_ = found.stamp;
        reloaded_ = found.loaded_now;
        return found.model;
    }

    // Between two units a request of higher priority may have needed another model.
    std::shared_ptr<const SdxlModel> model_again() {
        auto model = find_model();
        if (reloaded_ && !told_reload_) {
            told_reload_ = true;
            result_.warnings.push_back(
                "the model was loaded again in between: a request of higher priority needed another one, or "
                "it "
                "was unloaded");
        }
        return model;
    }

    std::filesystem::path model_to_use() const {
        if (!request_.model.empty()) return parts_.models.path_of(request_.model);
        const auto loaded = parts_.models.loaded();
        if (!loaded.empty()) return loaded.front().path;
        fail(ErrorCode::kInvalidRequest,
             "no model: the request names none (model_name) and none is loaded; name one or load one first");
    }

    void load() {
        path_ = model_to_use();
        const auto loaded = parts_.models.loaded();
        meter_.begin(loaded.empty() || loaded.front().path != path_, request_.batch_size);
        meter_.set_steps(request_.steps);
        const auto model = find_model();
        require_memory(decode_peak_bytes(request_.width, request_.height, model->compute),
                       host_memory().available_bytes, "decoding a picture of this size");
        describe_result(*model);
    }

    void describe_result(const SdxlModel& model) {
        const SamplingPlan plan = plan_sampling(request_, model);
        result_.warnings = model.warnings;
        if (request_.precision == Precision::kBF16 && model.compute != DType::kBF16)
            result_.warnings.push_back("precision: the '" + std::string(parts_.backend.name()) +
                                       "' backend has no 16-bit type, float32 was used");
        result_.guidance_scale = request_.guidance_scale;
        result_.scheduler = plan.type;
        result_.sigma_schedule = plan.sigmas();
        result_.timestep_spacing = plan.spacing();
        result_.rng = request_.rng;
        result_.base_model = model.path.string();
        result_.dtype = dtype_name(model.compute);
        result_.device_name = "CPU: " + processor_name();
    }

    void encode(const Context& ctx, const SdxlModel& model) {
        tell(Stage::kEncode, 0, 1);
        {
            const Timed timed(result_.encode_seconds);
            conditioning_ = make_conditioning(ctx, model, request_);
            result_.prompt_weighting = conditioning_->weighted;
            result_.warnings.insert(result_.warnings.end(), conditioning_->warnings.begin(),
                                    conditioning_->warnings.end());
        }
        begin_picture(ctx, model);
    }

    std::uint64_t seed() const { return request_.seed + result_.images.size(); }

    void begin_picture(const Context& ctx, const SdxlModel& model) {
        const Timed timed(result_.denoise_seconds);
        generation_.emplace(model, request_, seed());
        generation_->prepare(ctx, model);
        meter_.set_steps(generation_->calls());
        result_.steps = request_.steps - generation_->skipped_steps();
        tell_step(true);
        phase_ = generation_->done() ? Phase::kDecode : Phase::kDenoise;
    }

    void tell_step(bool wanted) {
        const double total = static_cast<double>(generation_->calls()) * request_.batch_size;
        const double before =
            static_cast<double>(generation_->calls()) * static_cast<double>(result_.images.size());
        tell(Stage::kDenoise, before + generation_->calls_done(), total, wanted);
    }

    void step(const Context& ctx, const SdxlModel& model) {
        const Timed timed(result_.denoise_seconds);
        generation_->step(ctx, model, *conditioning_);
        ++parts_.steps;
        const int every = std::max(1, context_.wish.every);
        tell_step(generation_->done() || generation_->calls_done() % every == 0);
        if (generation_->done()) phase_ = Phase::kDecode;
    }

    void decode(const Context& ctx, const SdxlModel& model) {
        const auto index = result_.images.size();
        tell(Stage::kDecode, static_cast<double>(index), request_.batch_size);
        Image image;
        {
            const Timed timed(result_.decode_seconds);
            image = to_image(generation_->finish(ctx, model), request_.width, request_.height);
            parts_.backend.release_cached_memory();
        }
        tell(Stage::kWrite, static_cast<double>(index), request_.batch_size);
        context_.token->check();
        result_.images.push_back(
            write_picture(image, request_, result_, seed(), static_cast<int>(index), parts_.config));
        if (const std::string& path = result_.images.back().path; !path.empty()) {
            const std::lock_guard lock(written_mutex_);
            written_.push_back(path);
        }
        ++parts_.pictures;
        generation_.reset();
    }

    EngineParts& parts_;
    GenerationRequest request_;
    JobContext context_;
    JobDone<GenerationResult> done_;
    ProgressMeter meter_;
    std::mutex written_mutex_;
    std::vector<std::string> written_;  // files of pictures that are done
    GenerationResult result_;
    Phase phase_ = Phase::kLoad;
    std::filesystem::path path_;
    std::string stamp_;
    bool reloaded_ = false;
    bool told_reload_ = false;
    std::optional<Conditioning> conditioning_;
    std::optional<SdxlGeneration> generation_;
};

}  // namespace

std::unique_ptr<Task> make_generation_task(EngineParts& parts, GenerationRequest request, JobContext context,
                                           JobDone<GenerationResult> done) {
    return std::make_unique<GenerationTask>(parts, std::move(request), std::move(context), std::move(done));
}

}  // namespace sdxl
