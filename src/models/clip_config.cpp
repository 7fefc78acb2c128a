#include "models/clip_config.h"

#include "core/error.h"
#include "models/config_check.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

constexpr std::int64_t kHeadSize = 64;
constexpr const char* kKind = "a CLIP text encoder";

Activation activation_of(const ConfigCheck& check, Activation otherwise) {
    const auto& name = check.at("hidden_act");
    if (name.is_null()) return otherwise;
    if (name == "quick_gelu") return Activation::kQuickGelu;
    if (name == "gelu") return Activation::kGelu;
    check.mismatch("hidden_act", "\"quick_gelu\" or \"gelu\"", name.dump());
}

}  // namespace

ClipTextConfig detect_clip_text_config(const WeightMap& weights) {
    ClipTextConfig config;
    const Shape tokens = shape_at(weights, "text_model.embeddings.token_embedding.weight", 2, kKind);
    config.vocab_size = tokens[0];
    config.hidden_size = tokens[1];
    config.max_positions = shape_at(weights, "text_model.embeddings.position_embedding.weight", 2, kKind)[0];
    config.intermediate_size = shape_at(weights, "text_model.encoder.layers.0.mlp.fc1.weight", 2, kKind)[0];
    config.layers = count_of(weights, "text_model.encoder.layers.", ".mlp.fc1.weight");
    if (config.hidden_size % kHeadSize != 0 || config.vocab_size < 2 || config.max_positions < 2) {
        fail(ErrorCode::kInvalidModel, weights.component() + ": extents do not fit " + std::string(kKind));
    }
    config.heads = static_cast<int>(config.hidden_size / kHeadSize);
    config.eos_token_id = static_cast<std::int32_t>(config.vocab_size - 1);
    if (weights.find("text_projection.weight") != nullptr) {
        config.projection_dim = shape_at(weights, "text_projection.weight", 2, kKind)[0];
        config.activation = Activation::kGelu;
    }
    return config;
}

ClipTextConfig check_against_json(ClipTextConfig config, std::string_view json) {
    const ConfigCheck check("text_encoder", json);
    check.expect("vocab_size", config.vocab_size);
    check.expect("hidden_size", config.hidden_size);
    check.expect("intermediate_size", config.intermediate_size);
    check.expect("num_hidden_layers", config.layers);
    check.expect("num_attention_heads", config.heads);
    check.expect("max_position_embeddings", config.max_positions);
    check.expect("layer_norm_eps", config.norm_eps);
    if (config.projection_dim > 0) check.expect("projection_dim", config.projection_dim);
    config.activation = activation_of(check, config.activation);
    // 2 stands in old files that took the largest id for the end token; the real one is the vocabulary's
    // last.
    const auto& eos = check.at("eos_token_id");
    if (eos.is_number_integer() && eos != 2) {
        const auto id = eos.get<std::int64_t>();
        if (id < 0 || id >= config.vocab_size)
            check.mismatch("eos_token_id", "a token of the vocabulary", eos.dump());
        config.eos_token_id = static_cast<std::int32_t>(id);
    }
    return config;
}

}  // namespace sdxl
