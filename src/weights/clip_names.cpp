#include "weights/clip_names.h"

#include "weights/name_rules.h"

namespace sdxl {
namespace {

constexpr Rename kTop[] = {
    {"token_embedding", "text_model.embeddings.token_embedding"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final", "text_model.final_layer_norm"},
    {"text_projection.weight", "text_projection.weight"},
};
constexpr Rename kVisionTop[] = {
    {"class_embedding", "vision_model.embeddings.class_embedding"},
    {"positional_embedding", "vision_model.embeddings.position_embedding.weight"},
    {"conv1", "vision_model.embeddings.patch_embedding"},
    {"ln_pre", "vision_model.pre_layrnorm"},
    {"ln_post", "vision_model.post_layernorm"},
};
constexpr Rename kLayer[] = {
    {"ln_1", "layer_norm1"},
    {"ln_2", "layer_norm2"},
    {"mlp.c_fc", "mlp.fc1"},
    {"mlp.c_proj", "mlp.fc2"},
    {"attn.out_proj", "self_attn.out_proj"},
};
constexpr Rename kStacked[] = {
    {"attn.in_proj_weight", "self_attn.{}_proj.weight"},
    {"attn.in_proj_bias", "self_attn.{}_proj.bias"},
};

// A tensor of one of the layers of `model`.
std::optional<ClipName> layer_name(std::string_view name, std::string_view model) {
    constexpr std::string_view kLayers = "transformer.resblocks.";
    if (!name.starts_with(kLayers)) return std::nullopt;
    name.remove_prefix(kLayers.size());
    const auto index = to_index(take_part(name));
    if (!index) return std::nullopt;
    const std::string layer = std::string(model) + ".encoder.layers." + std::to_string(*index) + ".";
    if (const auto renamed = rename_head(name, kLayer)) return ClipName{layer + *renamed};
    if (const auto stacked = rename_head(name, kStacked))
        return ClipName{layer + *stacked, ClipPart::kQueryKeyValue};
    return std::nullopt;
}

}  // namespace

std::optional<ClipName> open_clip_name(std::string_view name) {
    if (name == "text_projection") return ClipName{"text_projection.weight", ClipPart::kTransposed};
    if (auto top = rename_head(name, kTop)) return ClipName{*top};
    return layer_name(name, "text_model");
}

std::optional<ClipName> open_clip_vision_name(std::string_view name) {
    if (name == "proj") return ClipName{"visual_projection.weight", ClipPart::kTransposed};
    if (auto top = rename_head(name, kVisionTop)) return ClipName{*top};
    return layer_name(name, "vision_model");
}

bool is_clip_weight(std::string_view name) {
    const bool known = name.starts_with("text_model.") || name.starts_with("text_projection.");
    return known && !name.ends_with(".position_ids");
}

}  // namespace sdxl
