#include "weights/vae_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/file_stamp.h"
#include "weights/checkpoint.h"
#include "weights/component_names.h"
#include "weights/json_file.h"
#include "weights/safetensors.h"
#include "weights/torch_file.h"
#include "weights/vae_names.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

// What all names begin with: a whole file's worth of a prefix, or nothing.
std::string_view common_prefix(const FileTensors& tensors) {
    for (const std::string_view prefix : {"first_stage_model.", "vae."})
        if (std::all_of(tensors.begin(), tensors.end(),
                        [&](const auto& tensor) { return tensor.first.starts_with(prefix); }))
            return prefix;
    return "";
}

bool has(const FileTensors& tensors, std::string_view name) {
    return tensors.find(name) != tensors.end();
}

// The tiny autoencoder's original files number their layers; its decoder begins with one that has no weights.
struct TinyNames {
    std::string half;  // "encoder", "decoder", "" for names that are diffusers' already
    int offset = 0;
};

std::optional<TinyNames> tiny_names(const FileTensors& tensors, std::string_view prefix) {
    const std::string start(prefix);
    if (has(tensors, start + "decoder.layers.0.weight")) return TinyNames{};
    if (has(tensors, start + "1.weight") && has(tensors, start + "3.conv.0.weight"))
        return TinyNames{"decoder", 1};
    if (has(tensors, start + "0.weight") && has(tensors, start + "1.conv.0.weight"))
        return TinyNames{"encoder", 0};
    return std::nullopt;
}

std::optional<std::string> tiny_name(std::string_view name, const TinyNames& names) {
    if (names.half.empty())
        return name.starts_with("encoder.layers.") || name.starts_with("decoder.layers.")
                   ? std::optional(std::string(name))
                   : std::nullopt;
    const std::size_t dot = name.find('.');
    constexpr std::size_t kMostDigits = 2;
    if (dot == std::string_view::npos || dot == 0 || dot > kMostDigits ||
        !std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dot),
                     [](char c) { return c >= '0' && c <= '9'; }))
        return std::nullopt;
    const int index = std::stoi(std::string(name.substr(0, dot))) - names.offset;
    if (index < 0) return std::nullopt;
    return names.half + ".layers." + std::to_string(index) + std::string(name.substr(dot));
}

void read_vae_tensors(VaeCheckpoint& vae, const FileTensors& tensors) {
    const std::string_view prefix = common_prefix(tensors);
    const auto tiny = tiny_names(tensors, prefix);
    std::vector<std::string_view> names;
    for (const auto& [name, tensor] : tensors) names.push_back(std::string_view(name).substr(prefix.size()));
    const bool original = std::any_of(names.begin(), names.end(), [](std::string_view name) {
        return name.starts_with("decoder.up.") || name.starts_with("decoder.mid.");
    });
    const VaeNames original_names(names);
    vae.kind = tiny ? VaeKind::kTiny : VaeKind::kKl;
    IgnoredTensors ignored;
    for (const auto& [name, tensor] : tensors) {
        const std::string_view leaf = std::string_view(name).substr(prefix.size());
        const auto canonical = tiny       ? tiny_name(leaf, *tiny)
                               : original ? original_names.canonical(leaf)
                                          : std::optional(modern_vae_name(leaf));
        if (canonical)
            insert_canonical(vae.weights, *canonical, tensor);
        else
            ignored.add(name);
    }
    vae.warnings = ignored.warnings();
}

// A file of a VAE alone has no UNet.
bool is_vae_alone(const FileTensors& tensors) {
    const std::string_view prefix = common_prefix(tensors);
    const std::string start(prefix);
    return tiny_names(tensors, prefix) || has(tensors, start + "decoder.conv_in.weight");
}

VaeCheckpoint from_model(const fs::path& path) {
    Checkpoint checkpoint = open_checkpoint(path);
    VaeCheckpoint vae;
    vae.path = path;
    vae.weights = std::move(checkpoint.vae);
    vae.config = checkpoint.configs.vae;
    return vae;
}

std::optional<fs::path> weights_in(const fs::path& folder) {
    for (const char* name : {"diffusion_pytorch_model.safetensors",
                             "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin"})
        if (is_there(folder / name)) return folder / name;
    return std::nullopt;
}

}  // namespace

VaeCheckpoint open_vae(const fs::path& path) {
    std::error_code ignored;
    VaeCheckpoint vae;
    vae.path = path;
    if (fs::is_directory(path, ignored)) {
        const auto weights = weights_in(path);
        if (is_there(path / "model_index.json") || !weights) return from_model(path);
        if (is_there(path / "config.json")) vae.config = read_text_file(path / "config.json");
        read_vae_tensors(vae, open_tensor_files(*weights).tensors);
        return vae;
    }
    if ((path.extension() != ".safetensors" && !is_torch_file(path)) || !is_there(path))
        return from_model(path);  // which says what is wrong
    const FileTensors tensors = open_tensor_files(path).tensors;
    if (!is_vae_alone(tensors)) return from_model(path);
    read_vae_tensors(vae, tensors);
    return vae;
}

}  // namespace sdxl
