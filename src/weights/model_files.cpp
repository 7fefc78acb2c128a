#include "weights/model_files.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/file_stamp.h"
#include "weights/clip_names.h"
#include "weights/component_names.h"
#include "weights/json_file.h"
#include "weights/model_kind.h"
#include "weights/open_clip_tensors.h"
#include "weights/unet_names.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

struct Part {
    WeightMap weights;
    std::string config;  // config.json, "" if there is none
};

// A tensor's name in the part, and the tensor.
using Named = std::vector<std::pair<std::string_view, const FileTensor*>>;

// Without the first of these prefixes that any name has; of a file that has one, what has it.
template <std::size_t N>
Named below(const FileTensors& tensors, const std::array<std::string_view, N>& prefixes) {
    Named named;
    for (const std::string_view prefix : prefixes) {
        for (const auto& [name, tensor] : tensors)
            if (name.starts_with(prefix))
                named.emplace_back(std::string_view(name).substr(prefix.size()), &tensor);
        if (!named.empty()) return named;
    }
    for (const auto& [name, tensor] : tensors) named.emplace_back(name, &tensor);
    return named;
}

bool any_below(const Named& named, std::string_view prefix) {
    return std::ranges::any_of(named, [&](const auto& one) { return one.first.starts_with(prefix); });
}

bool read_unet(const FileTensors& tensors, const fs::path& path, Part& part, IgnoredTensors& ignored) {
    constexpr std::array<std::string_view, 2> kPrefixes{"model.diffusion_model.", "unet."};
    const Named named = below(tensors, kPrefixes);
    if (any_below(named, "down_blocks.")) {
        for (const auto& [name, tensor] : named) insert_canonical(part.weights, std::string(name), *tensor);
        return true;
    }
    if (!any_below(named, "input_blocks.")) return false;
    std::vector<std::string_view> names;
    for (const auto& [name, tensor] : named) names.push_back(name);
    const UnetNames original(names, path.string());
    for (const auto& [name, tensor] : named) {
        if (const auto canonical = original.canonical(name))
            insert_canonical(part.weights, *canonical, *tensor);
        else
            ignored.add(name, part.weights.component());
    }
    return true;
}

bool read_clip(const FileTensors& tensors, Part& part, IgnoredTensors& ignored) {
    constexpr std::array<std::string_view, 8> kPrefixes{"conditioner.embedders.0.transformer.",
                                                        "conditioner.embedders.1.model.",
                                                        "text_encoders.clip_l.transformer.",
                                                        "text_encoders.clip_g.transformer.",
                                                        "text_encoder_2.",
                                                        "text_encoder.",
                                                        "clip_l.transformer.",
                                                        "clip_g.transformer."};
    const Named named = below(tensors, kPrefixes);
    const bool transformers = any_below(named, "text_model.");
    if (!transformers && !any_below(named, "transformer.resblocks.")) return false;
    for (const auto& [name, tensor] : named) {
        const auto open_clip = transformers ? std::nullopt : open_clip_name(name);
        if (transformers && is_clip_weight(name))
            insert_canonical(part.weights, std::string(name), *tensor);
        else if (open_clip)
            insert_open_clip(part.weights, *open_clip, *tensor);
        else
            ignored.add(name, part.weights.component());
    }
    return true;
}

// Of a whole model.
Part part_of_model(const fs::path& path, const std::string& component) {
    Checkpoint whole = open_checkpoint(path);
    if (component == "unet") return {std::move(whole.unet), whole.configs.unet};
    if (component == "text_encoder") return {std::move(whole.text_encoder), whole.configs.text_encoder};
    return {std::move(whole.text_encoder_2), whole.configs.text_encoder_2};
}

Part open_part(const fs::path& path, const std::string& component, std::vector<std::string>& warnings) {
    std::error_code ignored_error;
    const bool is_unet = component == "unet";
    fs::path file = path;
    std::string config;
    if (fs::is_directory(path, ignored_error)) {
        const auto weights = find_weights(path, is_unet ? "diffusion_pytorch_model" : "model");
        if (is_there(path / "model_index.json") || !weights) return part_of_model(path, component);
        file = *weights;
        if (is_there(path / "config.json")) config = read_text_file(path / "config.json");
    } else if (!is_there(path)) {
        fail(ErrorCode::kNotFound, "there is no " + component + " '" + path.string() + "'");
    }
    const FileTensors tensors = open_tensor_files(file).tensors;
    // Both parts of a whole checkpoint begin like that.
    const auto has = [&](std::string_view prefix) {
        const auto at = tensors.lower_bound(prefix);
        return at != tensors.end() && at->first.starts_with(prefix);
    };
    if (has("conditioner.embedders.") && has("model.diffusion_model.")) return part_of_model(path, component);
    Part part{WeightMap(component), std::move(config)};
    IgnoredTensors ignored;
    if (!(is_unet ? read_unet(tensors, path, part, ignored) : read_clip(tensors, part, ignored)))
        fail(ErrorCode::kInvalidModel,
             "'" + path.string() + "' holds no " + component +
                 (is_unet ? " (no tensor down_blocks.* or input_blocks.*)"
                          : " (no tensor text_model.* or transformer.resblocks.*)"));
    for (auto& warning : ignored.warnings()) warnings.push_back(std::move(warning));
    return part;
}

std::optional<fs::path> vocabulary_in(const fs::path& folder, const char* name) {
    if (is_there(folder / "vocab.json")) return folder;
    if (is_there(folder / name / "vocab.json")) return folder / name;
    return std::nullopt;
}

void replace_tokenizers(Checkpoint& checkpoint, const fs::path& folder) {
    checkpoint.tokenizer_dir = vocabulary_in(folder, "tokenizer");
    checkpoint.tokenizer_2_dir = vocabulary_in(folder, "tokenizer_2");
    if (checkpoint.tokenizer_dir && !checkpoint.tokenizer_2_dir)
        checkpoint.tokenizer_2_dir = checkpoint.tokenizer_dir;
    if (!checkpoint.tokenizer_dir) checkpoint.tokenizer_dir = checkpoint.tokenizer_2_dir;
    if (!checkpoint.tokenizer_dir)
        fail(ErrorCode::kInvalidModel,
             "'" + folder.string() +
                 "' holds no tokenizer: expected vocab.json and merges.txt there, or "
                 "in folders tokenizer and tokenizer_2");
}

}  // namespace

std::vector<fs::path> ModelFiles::all() const {
    std::vector<fs::path> paths{base};
    for (const fs::path& path : {unet, text_encoder, text_encoder_2, tokenizer})
        if (!path.empty()) paths.push_back(path);
    return paths;
}

std::string ModelFiles::stamp() const {
    std::string text;
    for (const fs::path& path : all()) text += file_stamp(path) + "\n";
    return text;
}

std::string ModelFiles::describe() const {
    std::string text = base.string();
    const auto add = [&](const char* what, const fs::path& path) {
        if (!path.empty())
            text += std::string(text == base.string() ? " with another " : ", ") + what + " (" +
                    path.string() + ")";
    };
    add("unet", unet);
    add("text_encoder", text_encoder);
    add("text_encoder_2", text_encoder_2);
    add("tokenizer", tokenizer);
    return text;
}

Checkpoint open_checkpoint(const ModelFiles& files) {
    Checkpoint checkpoint = open_checkpoint(files.base);
    const auto replace = [&](const fs::path& path, WeightMap& weights, std::string& config) {
        if (path.empty()) return;
        Part part = open_part(path, weights.component(), checkpoint.warnings);
        weights = std::move(part.weights);
        config = std::move(part.config);
    };
    ComponentConfigs& configs = checkpoint.configs;
    if (!files.text_encoder.empty() && checkpoint.kind == ModelKind::kRefiner)
        fail(ErrorCode::kInvalidModel,
             "the refiner '" + files.base.string() + "' has no first text encoder to be replaced");
    replace(files.unet, checkpoint.unet, configs.unet);
    replace(files.text_encoder, checkpoint.text_encoder, configs.text_encoder);
    replace(files.text_encoder_2, checkpoint.text_encoder_2, configs.text_encoder_2);
    if (!files.unet.empty())
        checkpoint.kind = detect_model_kind(checkpoint.unet, !checkpoint.text_encoder.entries().empty());
    if (!files.tokenizer.empty()) replace_tokenizers(checkpoint, files.tokenizer);
    return checkpoint;
}

}  // namespace sdxl
