#include "models/controlnet_config.h"

#include <string>

#include "core/error.h"
#include "models/config_check.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

constexpr const char* kKind = "a ControlNet for SDXL";
constexpr std::size_t kHintLevels = 4;  // three halvings from pixels to latents

void detect_hint(const WeightMap& weights, ControlNetConfig& config) {
    const std::string hint = "controlnet_cond_embedding.";
    const Shape& in = shape_at(weights, hint + "conv_in.weight", 4, kKind);
    config.hint_channels = in[1];
    config.hint_block_channels = {in[0]};
    // Every second block goes to the next level.
    const int blocks = count_of(weights, hint + "blocks.", ".weight");
    for (int i = 1; i < blocks; i += 2)
        config.hint_block_channels.push_back(
            shape_at(weights, hint + "blocks." + std::to_string(i) + ".weight", 4, kKind)[0]);
    if (blocks % 2 != 0 || config.hint_block_channels.size() != kHintLevels || config.hint_channels != 3)
        fail(ErrorCode::kInvalidModel,
             weights.component() + ": its control picture has " + std::to_string(config.hint_channels) +
                 " channels and " + std::to_string(blocks) +
                 " convolutions between the first and the last, expected 3 and 6: not " + kKind);
}

void detect_union(const WeightMap& weights, ControlNetConfig& config) {
    if (weights.find("task_embedding") == nullptr) return;
    const Shape& tasks = shape_at(weights, "task_embedding", 2, kKind);
    constexpr std::int64_t kMostTypes = 64;
    if (tasks[0] < 1 || tasks[0] > kMostTypes || tasks[1] % config.transformer_heads != 0 ||
        tasks[1] != config.encoder.block_out_channels.front())
        fail(ErrorCode::kInvalidModel,
             weights.component() + ": task_embedding has shape " + tasks.str() + ", expected a row of " +
                 std::to_string(config.encoder.block_out_channels.front()) + " for each type of control");
    config.control_types = static_cast<int>(tasks[0]);
    config.transformer_channels = tasks[1];
    config.transformer_layers = count_of(weights, "transformer_layes.", ".ln_1.weight");
}

}  // namespace

ControlNetConfig detect_controlnet_config(const WeightMap& weights) {
    ControlNetConfig config;
    config.encoder = detect_encoder_config(weights);
    detect_hint(weights, config);
    detect_union(weights, config);
    return config;
}

ControlNetConfig check_against_json(ControlNetConfig config, std::string_view json) {
    config.encoder = check_against_json(config.encoder, json, "controlnet");
    const ConfigCheck check("controlnet", json);
    check.expect("conditioning_channels", config.hint_channels);
    check.expect("conditioning_embedding_out_channels", config.hint_block_channels);
    check.expect("controlnet_conditioning_channel_order", "rgb");
    check.expect_unset({"global_pool_conditions"});
    if (!config.is_union()) return config;
    check.expect("num_control_type", config.control_types);
    check.expect("num_trans_channel", config.transformer_channels);
    check.expect("num_proj_channel", config.transformer_channels);
    check.expect("num_trans_head", config.transformer_heads);
    check.expect("num_trans_layer", config.transformer_layers);
    return config;
}

}  // namespace sdxl
