#include "models/unet_config.h"

#include <string>

#include "core/error.h"
#include "models/config_check.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

constexpr const char* kKind = "an SDXL UNet";

std::string block(const char* side, std::size_t index) {
    return std::string(side) + "." + std::to_string(index) + ".";
}

int depth_of(const WeightMap& weights, const std::string& prefix) {
    const int depth = count_of(weights, prefix + "attentions.0.transformer_blocks.", ".norm1.weight");
    if (depth == 0 && weights.find(prefix + "attentions.0.norm.weight") != nullptr)
        fail(ErrorCode::kInvalidModel,
             weights.component() + ": " + prefix + "attentions.0 has no transformer blocks: not " + kKind);
    return depth;
}

// Cross-attention's context and the form of its projections, from the place that has attention if any has.
void detect_attention(const WeightMap& weights, const std::string& place, UNetConfig& config) {
    const std::string attention = place + "attentions.0.";
    config.cross_attention_dim =
        shape_at(weights, attention + "transformer_blocks.0.attn2.to_k.weight", 2, kKind)[1];
    const auto* projection = weights.find(attention + "proj_in.weight");
    config.use_linear_projection = projection == nullptr || projection->view.shape.rank() == 2;
}

void detect_embeddings(const WeightMap& weights, UNetConfig& config) {
    config.time_embed_dim = shape_at(weights, "time_embedding.linear_1.weight", 2, kKind)[0];
    if (weights.find("time_embedding.cond_proj.weight") != nullptr)
        config.guidance_dim = shape_at(weights, "time_embedding.cond_proj.weight", 2, kKind)[1];
    if (config.guidance_dim % 2 != 0 || config.guidance_dim == 2)
        fail(ErrorCode::kInvalidModel, weights.component() + ": time_embedding.cond_proj takes " +
                                           std::to_string(config.guidance_dim) + " channels: not " + kKind);
    const std::int64_t projection = shape_at(weights, "add_embedding.linear_1.weight", 2, kKind)[1];
    // A refiner's context is as wide as its pooled prompt; the base model's is wider by the first encoder.
    constexpr int kRefinerIds = 5;
    const bool refiner = projection - config.cross_attention_dim == kRefinerIds * config.time_id_dim;
    config.time_id_count = refiner ? kRefinerIds : kRefinerIds + 1;
    config.pooled_dim = projection - config.time_id_count * config.time_id_dim;
    if (config.pooled_dim <= 0) {
        fail(ErrorCode::kInvalidModel, weights.component() + ": add_embedding takes " +
                                           std::to_string(projection) +
                                           " channels, too few for six time ids: not " + kKind);
    }
}

void check_channels(const WeightMap& weights, const UNetConfig& config) {
    for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
        const std::int64_t channels = config.block_out_channels[i];
        const bool heads_fit = config.down_depths[i] == 0 || channels % config.head_size == 0;
        if (channels % config.norm_groups != 0 || !heads_fit) {
            fail(ErrorCode::kInvalidModel, weights.component() + ": a block has " + std::to_string(channels) +
                                               " channels, which groups of 32 or heads of 64 do not divide");
        }
    }
}

std::vector<std::string> block_types(const std::vector<int>& depths, const char* side) {
    std::vector<std::string> types;
    types.reserve(depths.size());
    for (const int depth : depths)
        types.push_back((depth > 0 ? "CrossAttn" : "") + std::string(side) + "Block2D");
    return types;
}

// A number for all blocks, or a list; entries of blocks without attention do not matter.
void expect_per_block(const ConfigCheck& check, const char* key, const UNetConfig& config,
                      const std::vector<std::int64_t>& values) {
    const auto& found = check.at(key);
    if (found.is_null()) return;
    if (found.is_array() && found.size() != values.size())
        check.mismatch(key, "one entry a block", found.dump());
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& entry = found.is_array() ? found[i] : found;
        if (config.down_depths[i] > 0 && entry != values[i]) {
            check.mismatch(key, std::to_string(values[i]) + " for block " + std::to_string(i), found.dump());
        }
    }
}

// One number for both sides, or [height, width].
std::array<int, 2> sample_size(const ConfigCheck& check, const std::array<int, 2>& otherwise) {
    constexpr const char* kKey = "sample_size";
    const auto& found = check.at(kKey);
    if (found.is_null()) return otherwise;
    const auto side = [&](const nlohmann::json& value) {
        constexpr int kMost = 1 << 16;
        if (!value.is_number_integer() || value < 1 || value > kMost)
            check.mismatch(kKey, "latents a side, one number or [height, width]", found.dump());
        return value.get<int>();
    };
    if (!found.is_array()) return {side(found), side(found)};
    if (found.size() != 2) check.mismatch(kKey, "one number or [height, width]", found.dump());
    return {side(found[0]), side(found[1])};
}

void check_blocks(const ConfigCheck& check, const UNetConfig& config) {
    check.expect("block_out_channels", config.block_out_channels);
    check.expect("layers_per_block", config.layers_per_block);
    check.expect("down_block_types", block_types(config.down_depths, "Down"));
    check.expect("up_block_types", block_types(config.up_depths, "Up"));
    check.expect("mid_block_type", config.mid_depth > 0 ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D");
    std::vector<std::int64_t> depths, heads;
    for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
        depths.push_back(config.down_depths[i]);
        heads.push_back(config.block_out_channels[i] / config.head_size);
    }
    expect_per_block(check, "transformer_layers_per_block", config, depths);
    // For SDXL diffusers' attention_head_dim is the number of heads, unless num_attention_heads says it.
    const bool named = !check.at("num_attention_heads").is_null();
    expect_per_block(check, named ? "num_attention_heads" : "attention_head_dim", config, heads);
}

}  // namespace

UNetConfig detect_encoder_config(const WeightMap& weights) {
    UNetConfig config;
    config.in_channels = shape_at(weights, "conv_in.weight", 4, kKind)[1];
    config.block_out_channels.clear();
    config.down_depths.clear();
    config.up_depths.clear();
    const int blocks = count_of(weights, "down_blocks.", ".resnets.0.conv1.weight");
    if (blocks == 0)
        fail(ErrorCode::kInvalidModel, weights.component() + " has no down_blocks: not " + kKind);
    config.mid_depth = depth_of(weights, "mid_block.");
    std::string attention = config.mid_depth > 0 ? "mid_block." : "";
    for (int i = 0; i < blocks; ++i) {
        const std::string down = block("down_blocks", static_cast<std::size_t>(i));
        config.block_out_channels.push_back(shape_at(weights, down + "resnets.0.conv1.weight", 4, kKind)[0]);
        config.down_depths.push_back(depth_of(weights, down));
        if (attention.empty() && config.down_depths.back() > 0) attention = down;
    }
    config.layers_per_block = count_of(weights, "down_blocks.0.resnets.", ".conv1.weight");
    if (!attention.empty()) detect_attention(weights, attention, config);
    detect_embeddings(weights, config);
    check_channels(weights, config);
    return config;
}

UNetConfig detect_unet_config(const WeightMap& weights) {
    UNetConfig config = detect_encoder_config(weights);
    shape_at(weights, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 2, kKind);
    config.out_channels = shape_at(weights, "conv_out.weight", 4, kKind)[0];
    for (std::size_t i = 0; i < config.block_out_channels.size(); ++i)
        config.up_depths.push_back(depth_of(weights, block("up_blocks", i)));
    return config;
}

UNetConfig check_against_json(UNetConfig config, std::string_view json, const std::string& component) {
    const ConfigCheck check(component, json);
    check.expect("in_channels", config.in_channels);
    check.expect("out_channels", config.out_channels);
    check.expect("cross_attention_dim", config.cross_attention_dim);
    check.expect("addition_time_embed_dim", config.time_id_dim);
    check.expect("projection_class_embeddings_input_dim",
                 config.pooled_dim + config.time_id_count * config.time_id_dim);
    check.expect("time_embedding_dim", config.time_embed_dim);
    if (config.guidance_dim > 0)
        check.expect("time_cond_proj_dim", config.guidance_dim);
    else
        check.expect_unset({"time_cond_proj_dim"});
    check.expect("use_linear_projection", config.use_linear_projection);
    config.norm_groups = check.groups("norm_num_groups", config.block_out_channels, config.norm_groups);
    config.sample_size = sample_size(check, config.sample_size);
    check.expect("norm_eps", config.norm_eps);
    check_blocks(check, config);
    check.expect("act_fn", "silu");
    check.expect("flip_sin_to_cos", true);
    check.expect("freq_shift", 0);
    check.expect("downsample_padding", 1);
    check.expect("mid_block_scale_factor", 1);
    check.expect("resnet_out_scale_factor", 1);
    check.expect("resnet_time_scale_shift", "default");
    check.expect("time_embedding_type", "positional");
    check.expect("addition_embed_type", "text_time");
    check.expect("attention_type", "default");
    check.expect("conv_in_kernel", 3);
    check.expect("conv_out_kernel", 3);
    check.expect_unset({"center_input_sample", "only_cross_attention", "encoder_hid_dim",
                        "encoder_hid_dim_type", "dual_cross_attention", "class_embed_type",
                        "num_class_embeds", "resnet_skip_time_act", "time_embedding_act_fn",
                        "timestep_post_act", "class_embeddings_concat", "mid_block_only_cross_attention",
                        "cross_attention_norm", "reverse_transformer_layers_per_block"});
    return config;
}

}  // namespace sdxl
