// Single files in the original layout (one safetensors file with prefixes for the components).
#include <array>
#include <utility>

#include "core/error.h"
#include "weights/checkpoint.h"
#include "weights/clip_names.h"
#include "weights/component_names.h"
#include "weights/open_clip_tensors.h"
#include "weights/unet_names.h"
#include "weights/vae_names.h"

namespace sdxl {
namespace {

constexpr std::string_view kUnet = "model.diffusion_model.";
constexpr std::string_view kVae = "first_stage_model.";
constexpr std::string_view kClipL = "conditioner.embedders.0.transformer.";
constexpr std::array<std::string_view, 2> kOpenClip{
    "conditioner.embedders.1.model.",
    "conditioner.embedders.0.model.",  // the refiner's only text encoder
};

std::vector<std::string_view> names_below(const FileTensors& tensors, std::string_view prefix) {
    std::vector<std::string_view> names;
    for (auto at = tensors.lower_bound(prefix); at != tensors.end() && at->first.starts_with(prefix); ++at)
        names.push_back(std::string_view(at->first).substr(prefix.size()));
    return names;
}

// Routes a file's tensors to the components.
class SingleFileReader {
  public:
    SingleFileReader(const FileTensors& tensors, Checkpoint& checkpoint)
        : checkpoint_(checkpoint),
          unet_names_(names_below(tensors, kUnet), checkpoint.path.string()),
          vae_names_(names_below(tensors, kVae)) {}

    void take(std::string_view name, const FileTensor& tensor) {
        if (!is_marker(name) && !insert(name, tensor)) ignored_.add(name);
    }
    const IgnoredTensors& ignored() const { return ignored_; }

  private:
    // Tensors whose presence alone says how the UNet was trained.
    bool is_marker(std::string_view name) {
        if (name == "v_pred") return checkpoint_.v_prediction = true;
        if (name == "ztsnr") return checkpoint_.zero_terminal_snr = true;
        if (name.starts_with("edm_vpred.")) return checkpoint_.edm_v_prediction = true;
        return false;
    }

    bool insert(std::string_view name, const FileTensor& tensor) {
        if (name.starts_with(kUnet))
            return insert_as(checkpoint_.unet, unet_names_.canonical(name.substr(kUnet.size())), tensor);
        if (name.starts_with(kVae))
            return insert_as(checkpoint_.vae, vae_names_.canonical(name.substr(kVae.size())), tensor);
        if (name.starts_with(kClipL)) {
            const std::string_view leaf = name.substr(kClipL.size());
            if (!is_clip_weight(leaf)) return false;
            insert_canonical(checkpoint_.text_encoder, std::string(leaf), tensor);
            return true;
        }
        for (const auto prefix : kOpenClip) {
            if (!name.starts_with(prefix)) continue;
            const auto clip = open_clip_name(name.substr(prefix.size()));
            if (clip) insert_open_clip(checkpoint_.text_encoder_2, *clip, tensor);
            return clip.has_value();
        }
        return false;
    }

    static bool insert_as(WeightMap& map, const std::optional<std::string>& canonical,
                          const FileTensor& tensor) {
        if (canonical) insert_canonical(map, *canonical, tensor);
        return canonical.has_value();
    }

    Checkpoint& checkpoint_;
    UnetNames unet_names_;
    VaeNames vae_names_;
    IgnoredTensors ignored_;
};

}  // namespace

Checkpoint read_single_file(const FileTensors& tensors, const std::map<std::string, std::string>& metadata,
                            const std::filesystem::path& path) {
    const std::string foreign = foreign_model(tensors);
    if (!foreign.empty())
        fail(ErrorCode::kInvalidModel,
             "'" + path.string() + "': this is " + foreign + ", not an SDXL checkpoint");
    Checkpoint checkpoint;
    checkpoint.path = path;
    checkpoint.layout = CheckpointLayout::kSingleFile;
    SingleFileReader reader(tensors, checkpoint);
    for (const auto& [name, tensor] : tensors) reader.take(name, tensor);
    const auto prediction = metadata.find("modelspec.prediction_type");
    if (prediction != metadata.end() && prediction->second.starts_with("v")) checkpoint.v_prediction = true;
    checkpoint.metadata = metadata;
    finish_checkpoint(checkpoint, reader.ignored());
    if (checkpoint.kind == ModelKind::kRefiner) checkpoint.force_zeros_for_empty_prompt = false;
    return checkpoint;
}

}  // namespace sdxl
