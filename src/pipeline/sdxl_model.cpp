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

// A network with its weights, and the same where it only counts memory.
template <class Network>
struct Part {
    Part(Backend& backend, AdapterPart part, WeightMap map) : weights(backend, part, std::move(map)) {}

    AdaptedPart weights;
    std::unique_ptr<const Rehearsed<Network>> rehearsal;
    std::unique_ptr<const Network> network;
};

// A member of what is shared, which it keeps alive.
template <class Owner, class T>
std::shared_ptr<T> shared_member(const std::shared_ptr<Owner>& owner, T* member) {
    return {owner, member};
}

// Takes the parts of a model from the shelf, or puts them there.
class Assembly {
  public:
    Assembly(Backend& backend, WeightForm form, ModelShelf& shelf, SdxlModel& model)
        : backend_(backend), form_(form), shelf_(shelf), model_(model) {}

    template <class Network, class Config>
    void take(AdapterPart which, WeightMap& map, const std::string& json, const Config& config,
              std::shared_ptr<const Network>& network, std::shared_ptr<const Rehearsed<Network>>& rehearsal) {
        const std::string form = std::string(dtype_name(form_.compute)) + (form_.int8 ? " int8 " : " ");
        const auto part = shelf_.take<Part<Network>>(ModelShelf::key_of(map, form + json), [&] {
            return make<Network>(which, std::move(map), config);
        });
        warn_unused(part->weights.weights(), model_.warnings);
        parts_[static_cast<std::size_t>(which)] = shared_member(part, &part->weights);
        network = shared_member(part, part->network.get());
        rehearsal = shared_member(part, part->rehearsal.get());
    }

    std::unique_ptr<AdaptedWeights> weights() {
        return std::make_unique<AdaptedWeights>(backend_, std::move(parts_));
    }

  private:
    // The rehearsal checks the tensors before the network is bound to them.
    template <class Network, class Config>
    std::shared_ptr<Part<Network>> make(AdapterPart which, WeightMap map, const Config& config) {
        auto part = std::make_shared<Part<Network>>(backend_, which, std::move(map));
        AdaptedPart& weights = part->weights;
        part->rehearsal = std::make_unique<const Rehearsed<Network>>(form_, weights.weights(), config);
        const LoadContext load{backend_, form_.compute, weights.placement().slots(), form_.int8};
        part->network = std::make_unique<const Network>(load, weights.weights(), config);
        weights.built();
        return part;
    }

    Backend& backend_;
    WeightForm form_;
    ModelShelf& shelf_;
    SdxlModel& model_;
    AdaptedWeights::Parts parts_;
};

void take_text(Assembly& assembly, Checkpoint& checkpoint, SdxlModel& model) {
    const ComponentConfigs& json = checkpoint.configs;
    if (checkpoint.kind != ModelKind::kRefiner) {
        model.tokenizer = make_tokenizer(checkpoint.tokenizer_dir);
        model.pad_id = model.tokenizer->pad_id().value_or(model.tokenizer->eos_id());
        const auto config = clip_config(checkpoint.text_encoder, json.text_encoder);
        assembly.take(AdapterPart::kTextEncoder, checkpoint.text_encoder, json.text_encoder, config,
                      model.text_encoder, model.rehearsed_text);
        require_same_vocabulary(*model.tokenizer, *model.text_encoder, "text_encoder");
    }
    model.tokenizer_2 = make_tokenizer(checkpoint.tokenizer_2_dir);
    model.pad_id_2 = model.tokenizer_2->pad_id().value_or(0);
    const auto config = clip_config(checkpoint.text_encoder_2, json.text_encoder_2);
    if (config.projection_dim == 0)
        fail(ErrorCode::kInvalidModel, checkpoint.path.string() + ": text_encoder_2 has no text_projection");
    assembly.take(AdapterPart::kTextEncoder2, checkpoint.text_encoder_2, json.text_encoder_2, config,
                  model.text_encoder_2, model.rehearsed_text_2);
    require_same_vocabulary(*model.tokenizer_2, *model.text_encoder_2, "text_encoder_2");
}

struct VaePart {
    std::shared_ptr<const VaeModel> vae;
    std::shared_ptr<const RehearsedVae> rehearsal;
};

std::shared_ptr<VaePart> take_vae(Backend& backend, DType compute, ModelShelf& shelf, const WeightMap& map,
                                  const std::string& json, VaeKind kind) {
    const std::string key = ModelShelf::key_of(map, std::string(dtype_name(compute)) + " " + json);
    return shelf.take<VaePart>(key, [&] {
        auto part = std::make_shared<VaePart>();
        part->rehearsal = std::make_shared<const RehearsedVae>(compute, map, json, kind);
        part->vae = std::make_shared<const VaeModel>(LoadContext{backend, compute}, map, json, kind);
        return part;
    });
}

}  // namespace

std::vector<WeightPlacement*> SdxlModel::placements() const {
    std::vector<WeightPlacement*> all;
    for (const AdapterPart part : {AdapterPart::kTextEncoder, AdapterPart::kTextEncoder2, AdapterPart::kUnet})
        if (AdaptedPart* here = weights->part(part)) all.push_back(&here->placement());
    all.push_back(&vae->placement());
    return all;
}

std::shared_ptr<const SdxlModel> open_sdxl_model(const ModelFiles& files, Backend& backend, WeightForm form,
                                                 ModelShelf& shelf) {
    Checkpoint checkpoint = open_checkpoint(files);
    require_runnable(checkpoint);
    auto model = std::make_shared<SdxlModel>();
    model->files = files;
    model->path = files.base;
    model->compute = form.compute;
    model->int8 = form.int8;
    model->force_zeros_for_empty_prompt = checkpoint.force_zeros_for_empty_prompt;
    model->kind = checkpoint.kind;
    model->warnings = checkpoint.warnings;
    model->scheduler = default_scheduler(checkpoint, model->warnings);
    model->variant = detect_variant(checkpoint, model->scheduler);
    for (const WeightMap* map :
         {&checkpoint.text_encoder, &checkpoint.text_encoder_2, &checkpoint.unet, &checkpoint.vae})
        model->weight_bytes += map->total_bytes();

    const ComponentConfigs& json = checkpoint.configs;
    UNetConfig unet = detect_unet_config(checkpoint.unet);
    if (!json.unet.empty()) unet = check_against_json(unet, json.unet);
    // Its authors' setting for the model that takes the guidance scale as an input.
    constexpr double kEmbeddedGuidance = 8;
    if (unet.guidance_dim > 0) model->variant.guidance_scale = kEmbeddedGuidance;

    Assembly assembly(backend, form, shelf, *model);
    take_text(assembly, checkpoint, *model);
    assembly.take(AdapterPart::kUnet, checkpoint.unet, json.unet, unet, model->unet, model->rehearsed_unet);
    const auto vae = take_vae(backend, form.compute, shelf, checkpoint.vae, json.vae, VaeKind::kKl);
    model->vae = shared_member(vae, vae->vae.get());
    model->rehearsed_vae = shared_member(vae, vae->rehearsal.get());
    warn_unused(model->rehearsed_vae->weights(), model->warnings);
    model->weights = assembly.weights();
    if (backend.recorder() != nullptr)
        model->recorder = std::make_unique<StepRecorder>(
            backend, *model->unet, model->weights->part(AdapterPart::kUnet)->placement());
    return model;
}

void make_weights(const SdxlModel& model, PartsToMake parts, const CancelToken& cancel,
                  const LoadProgress& progress) {
    std::vector<const WeightMap*> maps;
    std::vector<WeightPlacement*> placements;
    const auto add = [&](bool wanted, const WeightMap& map, WeightPlacement& placement) {
        if (!wanted || placement.complete()) return;
        maps.push_back(&map);
        placements.push_back(&placement);
    };
    for (const AdapterPart part : {AdapterPart::kTextEncoder, AdapterPart::kTextEncoder2, AdapterPart::kUnet})
        if (AdaptedPart* weights = model.weights->part(part))
            add(part == AdapterPart::kUnet ? parts.unet : parts.text_encoders, weights->weights(),
                weights->placement());
    add(parts.vae, model.vae->weights(), model.vae->placement());
    if (placements.empty()) return;
    std::uint64_t total = 0;
    for (const WeightMap* map : maps) total += map->total_bytes();
    ReadAhead read_ahead(maps);
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < maps.size(); ++i) {
        std::uint64_t done = before;
        placements[i]->make_all(cancel, [&](std::uint64_t bytes) {
            done += bytes;
            read_ahead.consumed(done);
            if (progress) progress(done, total);
        });
        before += maps[i]->total_bytes();
    }
    if (progress) progress(total, total);
}

std::shared_ptr<const SdxlModel> load_sdxl_model(const std::filesystem::path& path, Backend& backend,
                                                 WeightForm form, const CancelToken& cancel,
                                                 const LoadProgress& progress) {
    ModelShelf shelf;
    auto model = open_sdxl_model({path}, backend, form, shelf);
    make_weights(*model, {}, cancel, progress);
    return model;
}

std::shared_ptr<const VaeModel> open_vae_model(const std::filesystem::path& path, Backend& backend,
                                               DType compute, ModelShelf& shelf,
                                               std::vector<std::string>& warnings) {
    const VaeCheckpoint file = open_vae(path);
    const auto part = take_vae(backend, compute, shelf, file.weights, file.config, file.kind);
    warnings = file.warnings;
    warn_unused(part->rehearsal->weights(), warnings);
    return shared_member(part, part->vae.get());
}

}  // namespace sdxl
