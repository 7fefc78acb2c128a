#include "weights/vae_names.h"

#include <algorithm>

#include "weights/name_rules.h"

namespace sdxl {
namespace {

constexpr Rename kTop[] = {{"quant_conv", "quant_conv"}, {"post_quant_conv", "post_quant_conv"}};
constexpr Rename kHalf[] = {
    {"conv_in", "conv_in"},
    {"conv_out", "conv_out"},
    {"norm_out", "conv_norm_out"},
    {"mid.attn_1.norm", "mid_block.attentions.0.group_norm"},
    {"mid.attn_1.q", "mid_block.attentions.0.to_q"},
    {"mid.attn_1.k", "mid_block.attentions.0.to_k"},
    {"mid.attn_1.v", "mid_block.attentions.0.to_v"},
    {"mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"},
};
constexpr Rename kResnet[] = {
    {"norm1", "norm1"},
    {"norm2", "norm2"},
    {"conv1", "conv1"},
    {"conv2", "conv2"},
    {"nin_shortcut", "conv_shortcut"},
};
constexpr Rename kMiddle[] = {{"block_1", "mid_block.resnets.0"}, {"block_2", "mid_block.resnets.1"}};
constexpr Rename kOldAttention[] = {
    {"query", "to_q"}, {"key", "to_k"}, {"value", "to_v"}, {"proj_attn", "to_out.0"}};

std::optional<std::string> resnet(const std::string& place, std::string_view leaf) {
    const auto renamed = rename_head(leaf, kResnet);
    return renamed ? std::optional(place + "." + *renamed) : std::nullopt;
}

// "block.1.conv1.weight" or "downsample.conv.weight" inside the level `place`.
std::optional<std::string> level_name(const std::string& place, std::string_view leaf) {
    constexpr Rename kSamplers[] = {{"downsample.conv", "downsamplers.0.conv"},
                                    {"upsample.conv", "upsamplers.0.conv"}};
    if (const auto sampler = rename_head(leaf, kSamplers)) return place + "." + *sampler;
    if (take_part(leaf) != "block") return std::nullopt;
    const auto index = to_index(take_part(leaf));
    return index ? resnet(place + ".resnets." + std::to_string(*index), leaf) : std::nullopt;
}

}  // namespace

VaeNames::VaeNames(const std::vector<std::string_view>& names) {
    constexpr std::string_view kLevels = "decoder.up.";
    for (std::string_view name : names) {
        if (!name.starts_with(kLevels)) continue;
        name.remove_prefix(kLevels.size());
        const auto level = to_index(take_part(name));
        if (level) decoder_levels_ = std::max(decoder_levels_, *level + 1);
    }
}

std::optional<std::string> VaeNames::canonical(std::string_view name) const {
    if (auto top = rename_head(name, kTop)) return top;
    std::string_view leaf = name;
    const std::string half(take_part(leaf));
    if (half != "encoder" && half != "decoder") return std::nullopt;
    if (const auto renamed = rename_head(leaf, kHalf)) return half + "." + *renamed;
    const std::string_view part = take_part(leaf);
    if (part == "mid") {
        const auto block = rename_head(take_part(leaf), kMiddle);
        return block ? resnet(half + "." + *block, leaf) : std::nullopt;
    }
    if (part != (half == "encoder" ? "down" : "up")) return std::nullopt;
    const auto level = to_index(take_part(leaf));
    if (!level) return std::nullopt;
    if (half == "encoder") return level_name("encoder.down_blocks." + std::to_string(*level), leaf);
    return level_name("decoder.up_blocks." + std::to_string(decoder_levels_ - 1 - *level), leaf);
}

std::string modern_vae_name(std::string_view name) {
    constexpr std::string_view kAttention = ".attentions.0.";
    const std::size_t at = name.find(kAttention);
    if (at == std::string_view::npos) return std::string(name);
    const std::size_t leaf = at + kAttention.size();
    const auto renamed = rename_head(name.substr(leaf), kOldAttention);
    return renamed ? std::string(name.substr(0, leaf)) + *renamed : std::string(name);
}

}  // namespace sdxl
