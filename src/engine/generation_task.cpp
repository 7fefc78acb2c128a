// Threading: advance() and destruction on the loop thread; end() and describe() on any. They share only the
// meter and the list of written files, which lock, and `done_`, which the queue lets one of them call.
#include "engine/generation_task.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/file_stamp.h"
#include "core/host.h"
#include "core/number_text.h"
#include "device/cpu_device.h"
#include "engine/additions.h"
#include "engine/memory_keeper.h"
#include "engine/pass.h"
#include "engine/picture_reader.h"
#include "engine/picture_writer.h"
#include "engine/progress_meter.h"
#include "engine/timed.h"
#include "engine/without_effect.h"
#include "pipeline/generation.h"
#include "pipeline/latent_preview.h"
#include "pipeline/latents.h"
#include "sampling/scheduler_options.h"

namespace sdxl {

WeightForm EngineParts::form_of(Precision precision) const {
    const auto has = [&](DType type) { return backend.supports(type); };
    if (precision == Precision::kF32) return {};
    const DType half = has(DType::kBF16) ? DType::kBF16 : has(DType::kF16) ? DType::kF16 : DType::kF32;
    return {half, precision == Precision::kInt8 && backend.supports_int8(half)};
}

std::uint64_t EngineParts::adapter_budget() const {
    constexpr double kGigabyte = 1e9;
    const auto wished = static_cast<std::uint64_t>(std::max(0.0, config.adapter_cache_gb) * kGigabyte);
    const std::uint64_t available = host_memory().available_bytes;
    return available == 0 ? wished : std::min(wished, available / 2);
}

namespace {

class GenerationTask final : public Task {
  public:
    GenerationTask(EngineParts& parts, GenerationRequest request, JobContext context,
                   JobDone<GenerationResult> done)
        : parts_(parts),
          request_(std::move(request)),
          context_(std::move(context)),
          done_(std::move(done)),
          memory_(parts) {}

    bool advance() override {
        meter_.resume();
        try {
            const Timed timed(result_.total_seconds);
            context_.token->check();
            if (!unit_within_memory()) {
                meter_.pause();
                return false;
            }
        } catch (...) {
            parts_.backend.release_cached_memory();
            end(current_error());
            return true;
        }
        result_.peak_memory_bytes = peak_memory_;
        result_.memory = memory_.report();
        result_.memory.measured_peak_bytes = peak_memory_;
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
    enum class Phase { kRead, kLoad, kEncode, kPrepare, kDenoise, kDecode };

    Pass& pass() { return passes_[pass_]; }
    bool last_pass() const { return pass_ + 1 == passes_.size(); }

    // One unit of work. Where memory runs out in it, it is done once more with a plan that takes less.
    bool unit_within_memory() {
        const MemoryPeak peak(parts_, peak_memory_);
        std::string what;
        try {
            return unit();
        } catch (...) {
            const Error error = current_error();
            if (error.code != ErrorCode::kOutOfMemory || !planned_ || stepped_down_) throw;
            what = error.message;
        }
        stepped_down_ = true;
        parts_.adapters.drop_networks();
        parts_.models.drop_unused();
        const auto model = find_model();
        if (!memory_.step_down(*model, phase_ == Phase::kEncode    ? "encode"
                                       : phase_ == Phase::kPrepare ? "encode_image"
                                       : phase_ == Phase::kDenoise ? "denoise"
                                       : phase_ == Phase::kDecode  ? "decode"
                                                                   : "load"))
            fail(ErrorCode::kOutOfMemory, what);
        warn("memory ran out (" + what +
             "); it was tried once more: " + plan_in_words(memory_.current().step));
        return unit();
    }

    // One unit of work. True when all is done.
    bool unit() {
        if (phase_ == Phase::kRead) {
            if (!request_.width_of_model && !request_.height_of_model)
                inputs_ = read_inputs(request_, parts_.config);
            passes_ = passes_of(request_);
            handed_.resize(static_cast<std::size_t>(request_.batch_size));
            phase_ = Phase::kLoad;
            return false;
        }
        if (phase_ == Phase::kLoad) {
            load();
            phase_ = Phase::kEncode;
            return false;
        }
        const auto model = model_again();
        const Context ctx{parts_.backend, model->compute, context_.token.get(), nullptr};
        switch (phase_) {
            case Phase::kRead:
            case Phase::kLoad:
                break;
            case Phase::kEncode:
                encode(ctx, *model);
                break;
            case Phase::kPrepare:
                prepare(ctx, *model);
                break;
            case Phase::kDenoise:
                step(ctx, *model);
                break;
            case Phase::kDecode:
                decode(ctx, *model);
                break;
        }
        return phase_ == Phase::kDecode && group_.empty();
    }

    void tell(Stage stage, double done, double total, bool wanted = true) {
        ProgressEvent event = meter_.tell(stage, done, total);
        if (!context_.progress || !wanted) return;
        if (context_.wish.preview && !group_.empty() && stage == Stage::kDenoise)
            event.preview = std::make_shared<Image>(preview_of(group_.front()->seen()));
        context_.progress(event);
    }

    Image preview_of(const Latents& latents) {
        if (context_.wish.preview_vae.empty())
            return latent_preview(latents.values, latents.height, latents.width);
        const DType compute = parts_.form_of(request_.precision).compute;
        std::vector<std::string> warnings;
        const auto vae =
            parts_.models.get_vae(parts_.models.path_of(context_.wish.preview_vae), compute, warnings);
        for (const auto& warning : warnings) warn("preview_vae: " + warning);
        const Context ctx{parts_.backend, compute, context_.token.get(), nullptr};
        return decoded_preview(ctx, *vae, latents, memory_.current().tiles);
    }

    void warn(std::string text) {
        if (std::find(result_.warnings.begin(), result_.warnings.end(), text) == result_.warnings.end())
            result_.warnings.push_back(std::move(text));
    }

    std::shared_ptr<const SdxlModel> find_model() {
        Pass& now = pass();
        if (!now.stamp.empty() && now.stamp != now.files.stamp())
            fail(ErrorCode::kInvalidModel,
                 "the model " + now.files.describe() + " was changed while the picture was made; ask again");
        double seconds = 0;
        const auto found = timed(seconds, [&] { return parts_.models.get(now.files, now.form); });
        if (found.opened_now) result_.load_seconds += seconds;
        now.stamp = found.stamp;
        reloaded_ = found.opened_now;
        return found.model;
    }

    // Makes the weights that are to stay, before they are used: with progress, and what is read ahead.
    void make_ready(const SdxlModel& model) {
        if (!memory_.current().stays()) return;
        const PartsToMake parts{true, true, vae_path_.empty()};
        result_.load_seconds += parts_.models.make_ready(
            model, parts, *context_.token,
            [this, told = -1](std::uint64_t done, std::uint64_t total) mutable {
                // One for each twentieth: there are thousands of tensors.
                constexpr std::uint64_t kParts = 20;
                const int part = static_cast<int>(total == 0 ? kParts : done * kParts / total);
                tell(Stage::kLoad, static_cast<double>(done), static_cast<double>(total), part > told);
                told = std::max(told, part);
            });
    }

    // Between two units a request of higher priority may have needed another model.
    std::shared_ptr<const SdxlModel> model_again() {
        auto model = find_model();
        if (reloaded_ && !expect_load_)
            warn(
                "the model was loaded again in between: a request of higher priority needed another one, or "
                "it was unloaded");
        expect_load_ = false;
        if (reloaded_) plan_memory(*model);
        memory_.place(*model);
        adapt(*model);
        if (reloaded_) make_ready(*model);
        return model;
    }

    // Makes the weights those of this pass: another request may have left its own.
    void adapt(const SdxlModel& model) {
        const Timed timed(result_.adapter_seconds);
        for (const AdapterUse& use : pass().loras)
            if (use.adapter.stamp != file_stamp(use.adapter.file->path()))
                fail(ErrorCode::kInvalidModel, "the LoRA " + use.adapter.file->path().string() +
                                                   " was changed while the picture was made; ask again");
        // What other models keep is of the same budget.
        const std::uint64_t all = parts_.models.unused_bytes();
        const std::uint64_t others = all - std::min(all, model.weights->unused_bytes());
        const std::uint64_t budget = parts_.adapter_budget();
        model.weights->apply(pass().loras, budget - std::min(budget, others), *context_.token);
    }

    void load() {
        Pass& now = pass();
        const ModelCache::Suite suite = parts_.models.suite_of(now.request.model, now.request.parts);
        now.files = suite.files;
        now.form = parts_.form_of(request_.precision);
        if (pass_ == 0) {
            vae_path_ = request_.vae.empty() ? suite.vae : parts_.models.path_of(request_.vae);
            meter_.begin(!parts_.models.has(now.files), request_.batch_size);
            meter_.set_steps(request_.steps.value_or(30));
        }
        const auto model = find_model();
        if (pass_ == 0 && request_.model.empty() && parts_.models.is_default(now.files))
            warn(default_model_note(parts_.config, *model));
        if (request_.width_of_model || request_.height_of_model) take_size_of(*model);
        for (const auto& warning : model->warnings) warn(pass_ == 0 ? warning : "refiner: " + warning);
        takes_score_ = takes_score_ || model->unet->config().time_id_count == kIdsOfRefiner;
        if (last_pass())
            for (auto& text : without_effect(request_, takes_score_)) warn(std::move(text));
        if (pass_ == 0) read_additions(*model);
        plan_memory(*model);
        make_ready(*model);
        if (pass_ > 0) {
            result_.refiner_model = model->path.string();
            return;
        }
        describe_result(*model);
        share_plan(*model);
    }

    // Settles the size that was left to the model, and reads what is brought to it.
    void take_size_of(const SdxlModel& model) {
        request_ = with_size_of_model(std::move(request_), model);
        for (Pass& each : passes_) {
            each.request.width = request_.width;
            each.request.height = request_.height;
        }
        inputs_ = read_inputs(request_, parts_.config);
    }

    void plan_memory(const SdxlModel& model) {
        MemoryNeeds needs;
        needs.width = request_.width;
        needs.height = request_.height;
        needs.halves =
            1 + (plan_sampling(request_, model).guidance() ? 1 : 0) + (request_.pag_scale > 0 ? 1 : 0);
        needs.pictures = std::min(request_.batch_size, pictures_together(request_.width, request_.height));
        needs.starts_from = inputs_.image != nullptr;
        memory_.plan(model, needs, request_.memory);
        planned_ = true;
        for (auto& text : memory_.warnings()) warn(std::move(text));
    }

    // A refiner that takes up noise wants it where the base model left it.
    void share_plan(const SdxlModel& model) {
        if (passes_.size() < 2 || request_.refiner->strength) return;
        const SamplingPlan plan = plan_sampling(request_, model);
        GenerationRequest& refining = passes_.back().request;
        refining.steps = plan.steps;
        refining.scheduler = plan.type;
        refining.sigma_schedule = plan.sigmas();
        refining.timestep_spacing = plan.spacing();
    }

    void read_additions(const SdxlModel& model) {
        const Warn tell_host = [this](std::string text) { warn(std::move(text)); };
        passes_[0].loras =
            read_loras(parts_.adapters, model, request_, *context_.token, result_.adapters, tell_host);
        take_defaults_of(passes_[0].loras, request_, tell_host);
        embeddings_ = read_embeddings(parts_.adapters, request_);
        passes_[0].controls = read_controls(parts_.adapters, model, request_, parts_.config, *context_.token,
                                            result_.controls, tell_host);
        passes_[0].references = read_references(parts_.adapters, model, request_, parts_.config,
                                                *context_.token, result_.references, tell_host);
        for (Pass& each : passes_) {
            each.request.scheduler = request_.scheduler;
            each.request.timestep_spacing = request_.timestep_spacing;
            each.request.steps = request_.steps;
        }
        passes_[0].request.guidance_scale = request_.guidance_scale;
    }

    void describe_result(const SdxlModel& model) {
        const SamplingPlan plan = plan_sampling(request_, model);
        if (auto text = precision_note(request_.precision, model, parts_.backend); !text.empty())
            warn(std::move(text));
        if (request_.refiner && passes_.size() == 1)
            warn("the refiner took no part: it was to take over at the end of the steps");
        for (auto& text : without_effect(request_, plan, inputs_)) warn(std::move(text));
        result_.guidance_scale = plan.guidance_scale;
        result_.scheduler = plan.type;
        result_.sigma_schedule = plan.sigmas();
        result_.timestep_spacing = plan.spacing();
        result_.prediction_type = plan.config.prediction_type;
        result_.zero_terminal_snr = plan.config.rescale_betas_zero_snr;
        result_.rng = request_.rng;
        if (inputs_.image || inputs_.latents) result_.strength = request_.strength;
        result_.inpainted = !inputs_.mask.empty();
        result_.perturbed_attention = request_.pag_scale > 0;
        result_.free_u = request_.free_u.has_value();
        result_.base_model = model.path.string();
        result_.model_variant = model.variant.name;
        result_.variant_reason = model.variant.reason;
        result_.dtype = model.dtype();
        result_.device = parts_.device.id;
        result_.device_name = device_label(parts_.device);
    }

    // The VAE of this pass: the request's own, or the model's; in float32 once it has failed in less.
    std::shared_ptr<const VaeModel> vae_of(const SdxlModel& model) {
        const DType compute = full_vae_ ? DType::kF32 : model.compute;
        if (vae_path_.empty() && model.vae->compute() == compute) return model.vae;
        const auto path = vae_path_.empty() ? model.path : vae_path_;
        std::vector<std::string> warnings;
        auto vae = parts_.models.get_vae(path, compute, warnings);
        for (const auto& warning : warnings) warn(warning);
        if (!vae_path_.empty()) result_.vae_model = path.string();
        return vae;
    }

    // Does `work` with the VAE and, where what comes of it is not a number, once more in float32.
    template <class Work>
    void with_vae(const SdxlModel& model, const char* what, Work work) {
        if (work(*vae_of(model))) return;
        if (!full_vae_ && model.compute != DType::kF32) {
            full_vae_ = true;
            warn(std::string(what) + " was not a number everywhere in " +
                 std::string(dtype_name(model.compute)) + "; the VAE was run again in float32");
            if (work(*vae_of(model))) return;
        }
        fail(ErrorCode::kInternal, std::string(what) + " is not a number everywhere: the weights are broken");
    }

    // What a stage of the model gave is not a number: the pass goes on in float32, or ends.
    void escalate(const char* what) {
        Pass& now = pass();
        if (now.form.compute == DType::kF32)
            fail(ErrorCode::kInternal,
                 std::string(what) + " are not numbers everywhere: the weights are broken");
        warn(std::string(what) + " were not numbers everywhere in " +
             std::string(dtype_name(now.form.compute)) + "; from there on the model was run in float32");
        now.form = {DType::kF32};
        now.end();
        result_.dtype = dtype_name(DType::kF32);
        expect_load_ = true;
        phase_ = Phase::kEncode;
    }

    void encode(const Context& ctx, const SdxlModel& model) {
        tell(Stage::kEncode, 0, 1);
        Pass& now = pass();
        const Timed timed(result_.encode_seconds);
        now.begin(ctx, model, parts_.adapters, embeddings_);
        if (!now.conditioning->finite()) return escalate("the encoded prompts");
        result_.prompt_weighting = result_.prompt_weighting || now.conditioning->weighted();
        if (pass_ == 0) result_.embeddings = now.conditioning->used_triggers();
        for (const auto& warning : now.conditioning->warnings()) warn(warning);
        memory_.leave_text(model);
        phase_ = group_.empty() ? Phase::kPrepare : Phase::kDenoise;
    }

    std::uint64_t seed_of(int picture) const { return request_.seed + static_cast<std::uint64_t>(picture); }

    // The next pictures, as many as go together.
    void prepare(const Context& ctx, const SdxlModel& model) {
        const Timed timed(result_.denoise_seconds);
        const int count = std::min(request_.batch_size - group_begin_, memory_.current().pictures);
        std::vector<std::unique_ptr<SdxlGeneration>> group;
        for (int i = 0; i < count; ++i) {
            const int picture = group_begin_ + i;
            PictureInputs inputs = inputs_;
            if (pass_ > 0) inputs.latents = handed_[static_cast<std::size_t>(picture)].latents;
            if (pass_ > 0) inputs.draws = handed_[static_cast<std::size_t>(picture)].draws;
            auto generation =
                std::make_unique<SdxlGeneration>(model, pass().request, std::move(inputs), seed_of(picture));
            with_vae(model, "the encoded initial image", [&](const VaeModel& vae) {
                return generation->prepare(ctx, vae, memory_.current().tiles);
            });
            group.push_back(std::move(generation));
        }
        group_ = std::move(group);
        if (inputs_.image) memory_.leave_vae(*vae_of(model));
        count_steps(model);
        tell_step(true);
        phase_ = Phase::kDenoise;
        if (group_.front()->done()) end_group();
    }

    // Known when the first picture of a pass is ready.
    void count_steps(const SdxlModel& model) {
        if (group_begin_ > 0) return;
        const SdxlGeneration& first = *group_.front();
        calls_ += first.calls();
        meter_.set_steps(calls_);
        if (pass_ == 0 || !request_.refiner->strength) result_.steps += first.steps();
        if (pass_ > 0) result_.refiner_steps = first.steps();
        if (pass_ == 0 && first.steps() == 0 && result_.strength.value_or(0) > 0 &&
            request_.denoising_start == 0)
            warn("a strength of " + shortest_text(*result_.strength) + " is less than one of " +
                 std::to_string(plan_sampling(request_, model).steps) +
                 " steps: nothing was redrawn; make more steps");
        if (pass_ > 0 && first.steps() == 0)
            warn(
                "the refiner took no part: no step lies behind the place where it takes over; make more "
                "steps");
    }

    void tell_step(bool wanted) {
        const int now = group_.front()->calls_done() * static_cast<int>(group_.size());
        tell(Stage::kDenoise, calls_before_ + now, static_cast<double>(calls_) * request_.batch_size, wanted);
    }

    void step(const Context& ctx, const SdxlModel& model) {
        const Timed timed(result_.denoise_seconds);
        std::vector<SdxlGeneration*> generations;
        for (const auto& generation : group_) generations.push_back(generation.get());
        const StepRecorder* recorder = model.recorder.get();
        const std::uint64_t replayed = recorder != nullptr ? recorder->replays() : 0;
        if (!step_together(ctx, model, *pass().conditioning, generations, pass().at_work))
            return escalate("the UNet's results");
        if (recorder != nullptr) {
            result_.replayed_steps += static_cast<int>(recorder->replays() - replayed);
            if (!recorder->failure().empty())
                warn("steps could not be recorded, and were made op by op: " + recorder->failure());
        }
        parts_.steps += group_.size();
        const int every = std::max(1, context_.wish.every);
        const SdxlGeneration& first = *group_.front();
        tell_step(first.done() || first.calls_done() % every == 0);
        if (first.done()) end_group();
    }

    // The group's latents are done: they are decoded, or go to the next pass.
    void end_group() {
        calls_before_ += group_.front()->calls() * static_cast<int>(group_.size());
        if (last_pass()) {
            phase_ = Phase::kDecode;
            return;
        }
        for (std::size_t i = 0; i < group_.size(); ++i)
            handed_[static_cast<std::size_t>(group_begin_) + i] = {
                std::make_shared<Latents>(group_[i]->latents()), group_[i]->draws()};
        group_begin_ += static_cast<int>(group_.size());
        group_.clear();
        phase_ = Phase::kPrepare;
        if (group_begin_ < request_.batch_size) return;
        group_begin_ = 0;
        pass().end();
        ++pass_;
        expect_load_ = true;
        phase_ = Phase::kLoad;
    }

    // One picture of the group; after the last one the next group begins.
    void decode(const Context& ctx, const SdxlModel& model) {
        memory_.leave_unet(model);
        const auto index = result_.images.size();
        const SdxlGeneration& generation = *group_[index - static_cast<std::size_t>(group_begin_)];
        tell(Stage::kDecode, static_cast<double>(index), request_.batch_size);
        finish_picture(ctx, model, generation, static_cast<int>(index));
        ++parts_.pictures;
        const int made = static_cast<int>(result_.images.size());
        if (made < group_begin_ + static_cast<int>(group_.size())) return;
        group_begin_ = made;
        group_.clear();
        if (made < request_.batch_size) phase_ = Phase::kPrepare;
    }

    void finish_picture(const Context& ctx, const SdxlModel& model, const SdxlGeneration& generation,
                        int index) {
        if (request_.keep_latents) {
            GeneratedImage image;
            image.latents = std::make_shared<Latents>(generation.latents());
            image.seed = seed_of(index);
            image.draws = generation.draws();
            image.width = request_.width;
            image.height = request_.height;
            result_.images.push_back(std::move(image));
            parts_.backend.release_cached_memory();
            return;
        }
        Image image;
        {
            const Timed timed(result_.decode_seconds);
            std::vector<float> values;
            with_vae(model, "the decoded picture", [&](const VaeModel& vae) {
                values = vae.decode(ctx, generation.latents(), memory_.current().tiles);
                memory_.leave_vae(vae);
                return all_finite(values);
            });
            image = to_image(values, request_.width, request_.height);
            if (!inputs_.mask.empty()) paste_outside(image, *inputs_.image, inputs_.mask);
        }
        tell(Stage::kWrite, index, request_.batch_size);
        context_.token->check();
        result_.images.push_back(
            write_picture(image, request_, result_, seed_of(index), index, parts_.config));
        result_.images.back().draws = generation.draws();
        if (const std::string& path = result_.images.back().path; !path.empty()) {
            const std::lock_guard lock(written_mutex_);
            written_.push_back(path);
        }
    }

    EngineParts& parts_;
    GenerationRequest request_;
    JobContext context_;
    JobDone<GenerationResult> done_;
    ProgressMeter meter_;
    std::mutex written_mutex_;
    std::vector<std::string> written_;  // files of pictures that are done
    GenerationResult result_;
    Phase phase_ = Phase::kRead;
    PictureInputs inputs_;
    std::vector<Pass> passes_;
    std::size_t pass_ = 0;
    struct Handed {
        std::shared_ptr<const Latents> latents;
        int draws = 0;
    };
    std::vector<Handed> handed_;                          // from one pass to the next, by picture
    std::vector<std::unique_ptr<SdxlGeneration>> group_;  // pictures that are made together
    int group_begin_ = 0;                                 // the first of them
    int calls_ = 0;             // of the model for a picture, in all passes that have begun
    int calls_before_ = 0;      // for pictures of earlier groups and passes
    bool takes_score_ = false;  // one of the models has an aesthetic score as input
    bool reloaded_ = false;
    bool expect_load_ = false;
    bool full_vae_ = false;
    std::filesystem::path vae_path_;  // in place of the model's own
    MemoryKeeper memory_;
    std::uint64_t peak_memory_ = 0;
    bool planned_ = false;
    bool stepped_down_ = false;  // memory ran out once
    std::vector<GivenInversion> embeddings_;
};

}  // namespace

std::unique_ptr<Task> make_generation_task(EngineParts& parts, GenerationRequest request, JobContext context,
                                           JobDone<GenerationResult> done) {
    return std::make_unique<GenerationTask>(parts, std::move(request), std::move(context), std::move(done));
}

}  // namespace sdxl
