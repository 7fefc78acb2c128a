// Models in the diffusers layout: a folder with a model_index.json and a folder for each component.
#include <nlohmann/json.hpp>
#include <system_error>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "core/file_stamp.h"
#include "weights/checkpoint.h"
#include "weights/clip_names.h"
#include "weights/component_names.h"
#include "weights/json_file.h"
#include "weights/vae_names.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_without_weights(const fs::path& folder, const std::string& stem) {
    std::error_code ignored;
    for (const auto& file : fs::directory_iterator(folder, ignored))
        if (file.path().extension() == ".msgpack")
            fail(ErrorCode::kUnsupported,
                 "'" + file.path().string() +
                     "' is not safetensors: download or convert the safetensors version");
    fail(ErrorCode::kInvalidModel, "'" + folder.string() + "' has no '" + stem +
                                       ".safetensors': the model is incomplete, download it again");
}

std::string optional_text(const fs::path& path) {
    return is_there(path) ? read_text_file(path) : std::string();
}

// model_index.json, and how each component is read out of its folder.
class FolderReader {
  public:
    explicit FolderReader(const fs::path& folder)
        : folder_(folder), index_(read_json_object(folder / "model_index.json")) {
        check_class();
    }

    // Whether the index lists the component as part of the model.
    bool lists(const std::string& component) const {
        const auto found = index_.find(component);
        return found != index_.end() && found->is_array() && !found->empty() && found->front().is_string();
    }

    // Nothing if the index does not list the component.
    template <class Canonical>
    void read(WeightMap& map, std::string& config, const std::string& stem, Canonical canonical) {
        if (!lists(map.component())) return;
        const fs::path folder = folder_ / map.component();
        const auto weights = find_weights(folder, stem);
        if (!weights) refuse_without_weights(folder, stem);
        for (const auto& [name, tensor] : open_tensor_files(*weights).tensors) {
            const std::optional<std::string> renamed = canonical(name);
            if (renamed)
                insert_canonical(map, *renamed, tensor);
            else
                ignored_.add(name, map.component());
        }
        config = optional_text(folder / "config.json");
    }

    std::optional<fs::path> tokenizer(const std::string& name) const {
        const fs::path folder = folder_ / name;
        return is_there(folder / "vocab.json") ? std::optional(folder) : std::nullopt;
    }

    bool flag(const std::string& name, bool otherwise) const {
        const auto found = index_.find(name);
        return found != index_.end() && found->is_boolean() ? found->get<bool>() : otherwise;
    }

    std::string text(const std::string& name) const {
        const auto found = index_.find(name);
        return found != index_.end() && found->is_string() ? found->get<std::string>() : "";
    }

    // A number from `least` to `most` (a whole one if these are); with a warning where it is none.
    template <class T>
    std::optional<T> number(const std::string& name, T least, T most,
                            std::vector<std::string>& warnings) const {
        const auto found = index_.find(name);
        if (found == index_.end()) return std::nullopt;
        const bool right_kind = std::is_integral_v<T> ? found->is_number_integer() : found->is_number();
        if (right_kind && found->get<double>() >= least && found->get<double>() <= most)
            return found->get<T>();
        warnings.push_back("model_index.json: '" + name + "' is not used: it is no number from " +
                           std::to_string(static_cast<int>(least)) + " to " +
                           std::to_string(static_cast<int>(most)));
        return std::nullopt;
    }

    const IgnoredTensors& ignored() const { return ignored_; }

  private:
    void check_class() const {
        const auto found = index_.find("_class_name");
        const std::string name = found != index_.end() && found->is_string() ? found->get<std::string>() : "";
        if (!name.starts_with("StableDiffusionXL"))
            fail(ErrorCode::kInvalidModel, "'" + folder_.string() + "': this is a " +
                                               (name.empty() ? "model without a class" : quoted_name(name)) +
                                               ", not an SDXL model (StableDiffusionXLPipeline)");
    }

    fs::path folder_;
    nlohmann::json index_;
    IgnoredTensors ignored_;
};

void read_scheduler(Checkpoint& checkpoint) {
    const fs::path path = checkpoint.path / "scheduler" / "scheduler_config.json";
    checkpoint.configs.scheduler = optional_text(path);
    if (checkpoint.configs.scheduler.empty()) return;
    const auto json = parse_json_object(checkpoint.configs.scheduler, path);
    const auto prediction = json.find("prediction_type");
    checkpoint.v_prediction = prediction != json.end() && *prediction == "v_prediction";
    const auto rescaled = json.find("rescale_betas_zero_snr");
    checkpoint.zero_terminal_snr = rescaled != json.end() && *rescaled == true;
}

}  // namespace

Checkpoint read_diffusers_folder(const fs::path& folder) {
    Checkpoint checkpoint;
    checkpoint.path = folder;
    checkpoint.layout = CheckpointLayout::kDiffusersFolder;
    FolderReader reader(folder);
    const auto same = [](const std::string& name) { return std::optional(name); };
    const auto vae = [](const std::string& name) { return std::optional(modern_vae_name(name)); };
    const auto clip = [](const std::string& name) {
        return is_clip_weight(name) ? std::optional(name) : std::nullopt;
    };
    ComponentConfigs& configs = checkpoint.configs;
    reader.read(checkpoint.unet, configs.unet, "diffusion_pytorch_model", same);
    reader.read(checkpoint.vae, configs.vae, "diffusion_pytorch_model", vae);
    reader.read(checkpoint.text_encoder, configs.text_encoder, "model", clip);
    reader.read(checkpoint.text_encoder_2, configs.text_encoder_2, "model", clip);
    read_scheduler(checkpoint);
    checkpoint.tokenizer_dir = reader.tokenizer("tokenizer");
    checkpoint.tokenizer_2_dir = reader.tokenizer("tokenizer_2");
    checkpoint.force_zeros_for_empty_prompt = reader.flag("force_zeros_for_empty_prompt", true);
    if (const std::string name = reader.text("_name_or_path"); !name.empty())
        checkpoint.metadata["_name_or_path"] = name;
    checkpoint.recommended = {reader.number("num_inference_steps", 1, 500, checkpoint.warnings),
                              reader.number("guidance_scale", 0.0, 50.0, checkpoint.warnings)};
    finish_checkpoint(checkpoint, reader.ignored());
    return checkpoint;
}

}  // namespace sdxl
