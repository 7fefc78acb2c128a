#include "weights/control_names.h"

#include <algorithm>

#include "weights/name_rules.h"

namespace sdxl {
namespace {

constexpr std::string_view kHintBlock = "input_hint_block.";
constexpr std::string_view kZeroConvs = "zero_convs.";
constexpr Rename kMiddle[] = {{"middle_block_out.0", "controlnet_mid_block"}};
constexpr int kLevels = 4;

// "weight", "bias", or a difference's "up" and "down".
bool is_leaf(std::string_view name) {
    return !name.empty() && name.find('.') == std::string_view::npos;
}

}  // namespace

ControlNetNames::ControlNetNames(const std::vector<std::string_view>& names, const std::string& path)
    : encoder_(names, path) {
    for (std::string_view name : names) {
        if (!name.starts_with(kHintBlock)) continue;
        name.remove_prefix(kHintBlock.size());
        if (const auto index = to_index(take_part(name))) last_hint_ = std::max(last_hint_, *index);
    }
}

std::optional<std::string> ControlNetNames::hint_name(std::string_view leaf) const {
    const auto index = to_index(take_part(leaf));
    if (!index || *index % 2 != 0 || !is_leaf(leaf)) return std::nullopt;
    std::string place = "controlnet_cond_embedding.";
    if (*index == 0)
        place += "conv_in.";
    else if (*index == last_hint_)
        place += "conv_out.";
    else
        place += "blocks." + std::to_string(*index / 2 - 1) + ".";
    return place.append(leaf);
}

std::optional<std::string> ControlNetNames::canonical(std::string_view name) const {
    if (name.starts_with(kHintBlock)) return hint_name(name.substr(kHintBlock.size()));
    if (name.starts_with(kZeroConvs)) {
        name.remove_prefix(kZeroConvs.size());
        const auto index = to_index(take_part(name));
        const bool fits = index && take_part(name) == "0" && is_leaf(name);
        if (!fits) return std::nullopt;
        return ("controlnet_down_blocks." + std::to_string(*index) + ".").append(name);
    }
    if (auto middle = rename_head(name, kMiddle)) return middle;
    return encoder_.canonical(name);
}

T2IAdapterNames::T2IAdapterNames(const std::vector<std::string_view>& names) {
    int resnets = 0;
    for (std::string_view name : names) {
        if (take_part(name) != "body") continue;
        const auto index = to_index(take_part(name));
        if (!index || take_part(name) != "block1") continue;
        flat_ = true;
        resnets = std::max(resnets, *index + 1);
    }
    resnets_per_level_ = std::max(1, resnets / kLevels);
}

std::optional<std::string> T2IAdapterNames::canonical(std::string_view name) const {
    std::string_view leaf = name;
    const std::string_view top = take_part(leaf);
    if (top == "conv_in") return std::string(name);
    if (top != "body") return std::nullopt;
    if (!flat_) return std::string(name);
    const auto index = to_index(take_part(leaf));
    if (!index) return std::nullopt;
    const std::string level = "body." + std::to_string(*index / resnets_per_level_) + ".";
    const int resnet = *index % resnets_per_level_;
    if (leaf.starts_with("block1.") || leaf.starts_with("block2."))
        return (level + "resnets." + std::to_string(resnet) + ".").append(leaf);
    if (resnet == 0 && (leaf.starts_with("in_conv.") || leaf.starts_with("down_opt.")))
        return level + std::string(leaf);
    return std::nullopt;
}

}  // namespace sdxl
