#include "weights/component_names.h"

#include <system_error>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr std::size_t kNamesShown = 3;

std::string reason_of(std::string_view name) {
    if (name.ends_with("position_ids")) return "position indices";
    if (name.ends_with("logit_scale")) return "contrastive training only";
    for (const std::string_view start : {"text_model.", "text_projection", "token_embedding.", "ln_final.",
                                         "positional_embedding", "transformer.resblocks."})
        if (name.starts_with(start)) return "CLIP's text encoder";
    if (name.starts_with("model_ema.")) return "EMA copies";
    if (name.starts_with("denoiser.")) return "noise schedule, computed anew";
    return "unknown";
}

// Whether `name` is the weight of an attention block's projection, of the UNet or the VAE.
bool is_attention_matrix(std::string_view name) {
    if (name.find(".attentions.") == std::string_view::npos) return false;
    for (const std::string_view leaf : {".proj_in.weight", ".proj_out.weight", ".to_q.weight", ".to_k.weight",
                                        ".to_v.weight", ".to_out.0.weight"})
        if (name.ends_with(leaf)) return true;
    return false;
}

// Third `index` of the stacked rows [3c, ...] as [c, ...].
HostView third(const HostView& stacked, int index) {
    std::vector<std::int64_t> dims = stacked.shape.dims();
    dims[0] /= 3;
    HostView view{nullptr, stacked.dtype, Shape(std::move(dims)), stacked.name};
    view.data = stacked.data + static_cast<std::size_t>(index) * view.bytes();
    return view;
}

void require(const WeightMap& map, const Checkpoint& checkpoint, std::string_view what) {
    if (map.entries().empty())
        fail(ErrorCode::kInvalidModel, "'" + checkpoint.path.string() + "': this SDXL " +
                                           std::string(model_kind_name(checkpoint.kind)) + " model has no " +
                                           std::string(what) + " (" + map.component() +
                                           "): use a version of the model that is complete");
}

}  // namespace

void IgnoredTensors::add(std::string_view name, std::string_view component) {
    std::string reason = reason_of(name);
    if (!component.empty()) reason += ", in " + std::string(component);
    names_[reason].emplace_back(name);
}

std::vector<std::string> IgnoredTensors::warnings() const {
    std::vector<std::string> lines;
    for (const auto& [reason, names] : names_) {
        std::string line = std::to_string(names.size()) + (names.size() == 1 ? " tensor" : " tensors") +
                           " ignored (" + reason + "): ";
        for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i)
            line += (i > 0 ? ", " : "") + quoted_name(names[i]);
        lines.push_back(names.size() > kNamesShown ? line + ", …" : line);
    }
    return lines;
}

void insert_canonical(WeightMap& map, const std::string& canonical, const FileTensor& tensor) {
    HostView view = tensor.view;
    const Shape& shape = view.shape;
    if (shape.rank() == 4 && shape[2] == 1 && shape[3] == 1 && is_attention_matrix(canonical))
        view.shape = Shape{shape[0], shape[1]};
    map.insert(canonical, std::move(view), tensor.bytes);
}

void insert_query_key_value(WeightMap& map, const std::string& pattern, const FileTensor& tensor) {
    const Shape& shape = tensor.view.shape;
    if (shape.rank() == 0 || shape[0] % 3 != 0)
        fail(ErrorCode::kInvalidModel, "'" + tensor.bytes->path() + "': tensor " +
                                           quoted_name(tensor.view.name) + " has shape " + shape.str() +
                                           ", expected rows of query, key and value");
    const std::size_t hole = pattern.find("{}");
    for (int i = 0; i < 3; ++i) {
        std::string name = pattern;
        map.insert(name.replace(hole, 2, 1, "qkv"[i]), third(tensor.view, i), tensor.bytes);
    }
}

std::optional<std::filesystem::path> find_weights(const std::filesystem::path& folder,
                                                  const std::string& stem) {
    std::error_code ignored;
    for (const char* ending : {".safetensors", ".safetensors.index.json", ".fp16.safetensors",
                               ".fp16.safetensors.index.json", ".safetensors.index.fp16.json"})
        if (std::filesystem::exists(folder / (stem + ending), ignored)) return folder / (stem + ending);
    const std::string pickled = stem == "model" ? "pytorch_model" : stem;  // as transformers calls it
    for (const char* ending : {".bin", ".bin.index.json", ".fp16.bin"})
        if (std::filesystem::exists(folder / (pickled + ending), ignored)) return folder / (pickled + ending);
    return std::nullopt;
}

void finish_checkpoint(Checkpoint& checkpoint, const IgnoredTensors& ignored) {
    require(checkpoint.unet, checkpoint, "UNet");
    checkpoint.kind = detect_model_kind(checkpoint.unet, !checkpoint.text_encoder.entries().empty());
    require(checkpoint.vae, checkpoint, "VAE");
    if (checkpoint.kind != ModelKind::kRefiner)
        require(checkpoint.text_encoder, checkpoint, "first text encoder");
    require(checkpoint.text_encoder_2, checkpoint, "second text encoder");
    for (auto& line : ignored.warnings()) checkpoint.warnings.push_back(std::move(line));
}

}  // namespace sdxl
