#include "models/clip_vision_config.h"

#include <string>

#include "core/error.h"
#include "models/config_check.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

constexpr const char* kKind = "a CLIP vision encoder";
constexpr std::int64_t kColours = 3;
constexpr std::int64_t kMostPatches = 256;  // of a side
constexpr std::int64_t kWidthOfViTB = 768;
constexpr std::int64_t kWidthOfViTL = 1024;
constexpr int kHeads = 16;
constexpr int kHeadsOfViTB = 12;

std::int64_t side_of(std::int64_t patches) {
    for (std::int64_t side = 1; side <= kMostPatches; ++side)
        if (side * side == patches) return side;
    return 0;
}

}  // namespace

ClipVisionConfig detect_clip_vision_config(const WeightMap& weights) {
    ClipVisionConfig config;
    const Shape patch = shape_at(weights, "vision_model.embeddings.patch_embedding.weight", 4, kKind);
    config.hidden_size = patch[0];
    config.patch_size = patch[2];
    const Shape positions = shape_at(weights, "vision_model.embeddings.position_embedding.weight", 2, kKind);
    const std::int64_t side = side_of(positions[0] - 1);
    config.image_size = side * config.patch_size;
    config.intermediate_size = shape_at(weights, "vision_model.encoder.layers.0.mlp.fc1.weight", 2, kKind)[0];
    config.layers = count_of(weights, "vision_model.encoder.layers.", ".mlp.fc1.weight");
    config.projection_dim = shape_at(weights, "visual_projection.weight", 2, kKind)[0];
    config.heads = config.hidden_size == kWidthOfViTB ? kHeadsOfViTB : kHeads;
    if (config.hidden_size <= kWidthOfViTL) config.activation = Activation::kQuickGelu;
    if (side == 0 || patch[1] != kColours || patch[2] != patch[3] || config.layers < 2 ||
        config.hidden_size % config.heads != 0)
        fail(ErrorCode::kInvalidModel, "'" + weights.source() + "': " + weights.component() +
                                           ": extents do not fit " + kKind + ": patches " + patch.str() +
                                           ", positions " + positions.str() + ", " +
                                           std::to_string(config.layers) + " layers");
    return config;
}

ClipVisionConfig check_against_json(ClipVisionConfig config, std::string_view json) {
    const ConfigCheck check("image_encoder", json);
    check.expect("hidden_size", config.hidden_size);
    check.expect("intermediate_size", config.intermediate_size);
    check.expect("num_hidden_layers", config.layers);
    check.expect("patch_size", config.patch_size);
    check.expect("image_size", config.image_size);
    check.expect("projection_dim", config.projection_dim);
    check.expect("layer_norm_eps", config.norm_eps);
    check.expect("num_channels", kColours);
    const auto& heads = check.at("num_attention_heads");
    if (!heads.is_null()) {
        const std::int64_t count = heads.is_number_integer() ? heads.get<std::int64_t>() : 0;
        if (count < 1 || count > config.hidden_size || config.hidden_size % count != 0)
            check.mismatch("num_attention_heads", "a divisor of " + std::to_string(config.hidden_size),
                           heads.dump());
        config.heads = static_cast<int>(count);
    }
    const auto& activation = check.at("hidden_act");
    if (!activation.is_null()) {
        const std::string name = activation.is_string() ? activation.get<std::string>() : "";
        if (name != "gelu" && name != "quick_gelu")
            check.mismatch("hidden_act", "\"quick_gelu\" or \"gelu\"", activation.dump());
        config.activation = name == "gelu" ? Activation::kGelu : Activation::kQuickGelu;
    }
    return config;
}

}  // namespace sdxl
