#include "pipeline/sdxl_model.h"

#include "core/error.h"
#include "models/clip_config.h"
#include "models/unet_config.h"
#include "pipeline/read_ahead.h"
#include "pipeline/unused_weights.h"
#include "text/default_vocabulary.h"
#include "weights/checkpoint.h"

namespace sdxl {
namespace {

// How SDXL base was trained, for files that carry no scheduler configuration: diffusers' values for
// stabilityai/stable-diffusion-xl-base-1.0.
SchedulerConfig sdxl_training_schedule() {
    SchedulerConfig config;
    config.beta_start = 0.00085;
    config.beta_end = 0.012;
    config.beta_schedule = BetaSchedule::kScaledLinear;
    config.timestep_spacing = TimestepSpacing::kLeading;
    config.steps_offset = 1;
    return config;
}

LoadedSchedulerConfig default_scheduler(const Checkpoint& checkpoint, std::vector<std::string>& warnings) {
    if (checkpoint.layout == CheckpointLayout::kDiffusersFolder && !checkpoint.configs.scheduler.empty()) {
        try {
            LoadedSchedulerConfig loaded =
                load_scheduler_config(checkpoint.path / "scheduler" / "scheduler_config.json");
            for (const auto& key : loaded.unknown_keys)
                warnings.push_back("scheduler/scheduler_config.json: unknown key '" + key +
                                   "' has no effect");
            return loaded;
        } catch (const Failure& failure) {
            if (failure.error().code != ErrorCode::kUnsupported) throw;
            warnings.push_back(failure.error().message +
                               "; EulerDiscreteScheduler is used unless the request names another");
        }
    }
    LoadedSchedulerConfig loaded{SchedulerType::kEuler, sdxl_training_schedule(), {}};
    if (checkpoint.v_prediction) loaded.config.prediction_type = PredictionType::kVPrediction;
    if (checkpoint.zero_terminal_snr) loaded.config.rescale_betas_zero_snr = true;
    return loaded;
}

std::unique_ptr<Tokenizer> make_tokenizer(const std::optional<std::filesystem::path>& folder) {
    if (folder) return std::make_unique<Tokenizer>(Tokenizer::load_folder(*folder));
    const auto vocabulary = default_vocabulary_dir();
    if (!vocabulary)
        fail(ErrorCode::kNotFound,
             "CLIP's vocabulary is not there and the model brings none: run tools/fetch-vocabulary, which "
             "writes "
             "build/vocabulary/merges.txt");
    return std::make_unique<Tokenizer>(Tokenizer::load_bpe_vocabulary(*vocabulary / "merges.txt"));
}

void require_same_vocabulary(const Tokenizer& tokenizer, const ClipTextModel& encoder,
                             const char* component) {
    const ClipTextConfig& config = encoder.config();
    if (tokenizer.vocab_size() <= config.vocab_size && tokenizer.eos_id() == config.eos_token_id) return;
    fail(ErrorCode::kInvalidModel, std::string(component) + " has " + std::to_string(config.vocab_size) +
                                       " tokens and ends a text with " + std::to_string(config.eos_token_id) +
                                       ", but the tokenizer has " + std::to_string(tokenizer.vocab_size()) +
                                       " and ends it with " + std::to_string(tokenizer.eos_id()) +
                                       ": put the model's own tokenizer folders beside its weights");
}

void require_runnable(const Checkpoint& checkpoint) {
    if (checkpoint.kind == ModelKind::kEdit)
        fail(ErrorCode::kUnsupported,
             checkpoint.path.string() +
                 " edits pictures by instruction (InstructPix2Pix), which this worker "
                 "does not do: use a base, inpainting or refiner model");
    if (checkpoint.edm_v_prediction)
        fail(ErrorCode::kUnsupported,
             checkpoint.path.string() + " samples over EDM's sigmas (CosXL), which this version does not do");
}

ClipTextConfig clip_config(const WeightMap& weights, const std::string& json) {
    const ClipTextConfig config = detect_clip_text_config(weights);
    return json.empty() ? config : check_against_json(config, json);
}

// Every component counts towards one total, and every tensor is a place to stop.
void watch(Checkpoint& checkpoint, ReadAhead& read_ahead, const CancelToken& cancel,
           const LoadProgress& progress) {
    WeightMap* const maps[] = {&checkpoint.text_encoder, &checkpoint.text_encoder_2, &checkpoint.unet,
                               &checkpoint.vae};
    std::uint64_t total = 0;
    for (const WeightMap* map : maps) total += map->total_bytes();
    std::uint64_t before = 0;
    for (WeightMap* map : maps) {
        map->set_observer(
            [&cancel, &progress, &read_ahead, before, total](std::uint64_t done, std::uint64_t) {
                cancel.check();
                read_ahead.consumed(before + done);
                if (progress) progress(before + done, total);
            });
        before += map->total_bytes();
    }
}

void load_text(AdaptedWeights& weights, const LoadContext& load, SdxlModel& model) {
    const Checkpoint& checkpoint = weights.checkpoint();
    const auto loads_into = [&](AdapterPart part) {
        return LoadContext{load.backend, load.compute, weights.slots(part)};
    };
    if (checkpoint.kind != ModelKind::kRefiner) {
        model.tokenizer = make_tokenizer(checkpoint.tokenizer_dir);
        model.pad_id = model.tokenizer->pad_id().value_or(model.tokenizer->eos_id());
        model.text_encoder = std::make_unique<ClipTextModel>(
            loads_into(AdapterPart::kTextEncoder), checkpoint.text_encoder,
            clip_config(checkpoint.text_encoder, checkpoint.configs.text_encoder));
        require_same_vocabulary(*model.tokenizer, *model.text_encoder, "text_encoder");
    }
    model.tokenizer_2 = make_tokenizer(checkpoint.tokenizer_2_dir);
    model.pad_id_2 = model.tokenizer_2->pad_id().value_or(0);
    model.text_encoder_2 = std::make_unique<ClipTextModel>(
        loads_into(AdapterPart::kTextEncoder2), checkpoint.text_encoder_2,
        clip_config(checkpoint.text_encoder_2, checkpoint.configs.text_encoder_2));
    require_same_vocabulary(*model.tokenizer_2, *model.text_encoder_2, "text_encoder_2");
    if (model.text_encoder_2->config().projection_dim == 0)
        fail(ErrorCode::kInvalidModel, checkpoint.path.string() + ": text_encoder_2 has no text_projection");
}

}  // namespace

std::shared_ptr<const SdxlModel> load_sdxl_model(const std::filesystem::path& path, Backend& backend,
                                                 DType compute, const CancelToken& cancel,
                                                 const LoadProgress& progress) {
    auto weights = std::make_unique<AdaptedWeights>(backend, open_checkpoint(path));
    Checkpoint& checkpoint = weights->checkpoint();
    require_runnable(checkpoint);
    ReadAhead read_ahead(
        {&checkpoint.text_encoder, &checkpoint.text_encoder_2, &checkpoint.unet, &checkpoint.vae});
    watch(checkpoint, read_ahead, cancel, progress);
    const LoadContext load{backend, compute};

    auto model = std::make_shared<SdxlModel>();
    model->path = path;
    model->compute = compute;
    model->force_zeros_for_empty_prompt = checkpoint.force_zeros_for_empty_prompt;
    model->kind = checkpoint.kind;
    model->warnings = checkpoint.warnings;
    model->scheduler = default_scheduler(checkpoint, model->warnings);
    model->variant = detect_variant(checkpoint, model->scheduler);

    // Configurations first: a model that does not fit together fails before its weights are read.
    UNetConfig unet = detect_unet_config(checkpoint.unet);
    if (!checkpoint.configs.unet.empty()) unet = check_against_json(unet, checkpoint.configs.unet);
    load_text(*weights, load, *model);
    model->unet = std::make_unique<UNet2DConditionModel>(
        LoadContext{backend, compute, weights->slots(AdapterPart::kUnet)}, checkpoint.unet, unet);
    // Its authors' setting for the model that takes the guidance scale as an input.
    constexpr double kEmbeddedGuidance = 8;
    if (unet.guidance_dim > 0) model->variant.guidance_scale = kEmbeddedGuidance;
    model->vae = std::make_shared<VaeModel>(load, checkpoint.vae, checkpoint.configs.vae);

    for (WeightMap* map :
         {&checkpoint.text_encoder, &checkpoint.text_encoder_2, &checkpoint.unet, &checkpoint.vae}) {
        map->set_observer(nullptr);  // who watched the load is gone after it
        warn_unused(*map, model->warnings);
        model->weight_bytes += map->total_bytes();
    }
    model->weights = std::move(weights);
    return model;
}

std::uint64_t loaded_bytes(const std::filesystem::path& path, DType compute) {
    const Checkpoint checkpoint = open_checkpoint(path);
    std::uint64_t elements = 0;
    for (const WeightMap* map :
         {&checkpoint.text_encoder, &checkpoint.text_encoder_2, &checkpoint.unet, &checkpoint.vae})
        for (const auto& [name, entry] : map->entries())
            elements += static_cast<std::uint64_t>(entry.view.shape.numel());
    return elements * dtype_size(compute);
}

std::shared_ptr<const VaeModel> load_vae_model(const std::filesystem::path& path, Backend& backend,
                                               DType compute, const CancelToken& cancel,
                                               std::vector<std::string>& warnings) {
    VaeCheckpoint file = open_vae(path);
    file.weights.set_observer([&cancel](std::uint64_t, std::uint64_t) { cancel.check(); });
    auto vae =
        std::make_shared<VaeModel>(LoadContext{backend, compute}, file.weights, file.config, file.kind);
    warnings = file.warnings;
    warn_unused(file.weights, warnings);
    return vae;
}

}  // namespace sdxl
