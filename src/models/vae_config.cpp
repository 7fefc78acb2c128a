#include "models/vae_config.h"

#include <string>

#include "core/error.h"
#include "models/config_check.h"
#include "models/weight_shapes.h"

namespace sdxl {
namespace {

constexpr const char* kKind = "an autoencoder of SDXL";

}  // namespace

VaeConfig detect_vae_config(const WeightMap& weights) {
    VaeConfig config;
    config.latent_channels = shape_at(weights, "decoder.conv_in.weight", 4, kKind)[1];
    config.image_channels = shape_at(weights, "decoder.conv_out.weight", 4, kKind)[0];
    config.block_out_channels.clear();
    const int blocks = count_of(weights, "encoder.down_blocks.", ".resnets.0.conv1.weight");
    if (blocks == 0)
        fail(ErrorCode::kInvalidModel, "vae has no encoder.down_blocks: not " + std::string(kKind));
    for (int i = 0; i < blocks; ++i) {
        const std::string name = "encoder.down_blocks." + std::to_string(i) + ".resnets.0.conv1.weight";
        config.block_out_channels.push_back(shape_at(weights, name, 4, kKind)[0]);
        if (config.block_out_channels.back() % config.norm_groups != 0) {
            fail(ErrorCode::kInvalidModel, "vae: " + name + " has channels that 32 groups do not divide");
        }
    }
    config.layers_per_block = count_of(weights, "encoder.down_blocks.0.resnets.", ".conv1.weight");
    return config;
}

VaeConfig check_against_json(VaeConfig config, std::string_view json) {
    const ConfigCheck check("vae", json);
    const std::size_t blocks = config.block_out_channels.size();
    check.expect("in_channels", config.image_channels);
    check.expect("out_channels", config.image_channels);
    check.expect("latent_channels", config.latent_channels);
    check.expect("block_out_channels", config.block_out_channels);
    check.expect("layers_per_block", config.layers_per_block);
    check.expect("down_block_types", std::vector<std::string>(blocks, "DownEncoderBlock2D"));
    check.expect("up_block_types", std::vector<std::string>(blocks, "UpDecoderBlock2D"));
    config.norm_groups = check.groups("norm_num_groups", config.block_out_channels, config.norm_groups);
    check.expect("scaling_factor", config.scaling_factor);
    check.expect("act_fn", "silu");
    check.expect("use_quant_conv", true);
    check.expect("use_post_quant_conv", true);
    check.expect("mid_block_add_attention", true);
    check.expect_unset({"latents_mean", "latents_std", "shift_factor"});
    return config;
}

}  // namespace sdxl
