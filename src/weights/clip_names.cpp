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

}  // namespace

std::optional<ClipName> open_clip_name(std::string_view name) {
    if (name == "text_projection") return ClipName{"text_projection.weight", ClipPart::kTransposed};
    if (auto top = rename_head(name, kTop)) return ClipName{*top};
    constexpr std::string_view kLayers = "transformer.resblocks.";
    if (!name.starts_with(kLayers)) return std::nullopt;
    name.remove_prefix(kLayers.size());
    const auto index = to_index(take_part(name));
    if (!index) return std::nullopt;
    const std::string layer = "text_model.encoder.layers." + std::to_string(*index) + ".";
    if (const auto renamed = rename_head(name, kLayer)) return ClipName{layer + *renamed};
    if (const auto stacked = rename_head(name, kStacked))
        return ClipName{layer + *stacked, ClipPart::kQueryKeyValue};
    return std::nullopt;
}

bool is_clip_weight(std::string_view name) {
    const bool known = name.starts_with("text_model.") || name.starts_with("text_projection.");
    return known && !name.ends_with(".position_ids");
}

}  // namespace sdxl
