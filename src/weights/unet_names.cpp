#include "weights/unet_names.h"

#include <utility>

#include "core/error.h"
#include "weights/name_rules.h"

namespace sdxl {
namespace {

constexpr Rename kTop[] = {
    {"time_embed.0", "time_embedding.linear_1"},
    {"time_embed.2", "time_embedding.linear_2"},
    {"label_emb.0.0", "add_embedding.linear_1"},
    {"label_emb.0.2", "add_embedding.linear_2"},
    {"input_blocks.0.0", "conv_in"},
    {"out.0", "conv_norm_out"},
    {"out.2", "conv_out"},
};
constexpr Rename kResnet[] = {
    {"in_layers.0", "norm1"},  {"in_layers.2", "conv1"},  {"emb_layers.1", "time_emb_proj"},
    {"out_layers.0", "norm2"}, {"out_layers.3", "conv2"}, {"skip_connection", "conv_shortcut"},
};
constexpr Rename kAttention[] = {
    {"norm", "norm"},
    {"proj_in", "proj_in"},
    {"transformer_blocks", "transformer_blocks"},
    {"proj_out", "proj_out"},
};
constexpr Rename kDownsampler[] = {{"op", "conv"}};
constexpr Rename kUpsampler[] = {{"conv", "conv"}};

// "<name>.<index>"
std::string item(std::string_view name, int index) {
    return std::string(name) + "." + std::to_string(index);
}

// The section of a block's tensor ("middle_block" has blocks of one place each, the others rows of blocks).
bool is_section(std::string_view part) {
    return part == "input_blocks" || part == "output_blocks" || part == "middle_block";
}

}  // namespace

UnetNames::Role UnetNames::role_of(std::string_view leaf) {
    if (rename_head(leaf, kResnet)) return Role::kResnet;
    if (rename_head(leaf, kAttention)) return Role::kAttention;
    if (rename_head(leaf, kDownsampler)) return Role::kDownsampler;
    if (rename_head(leaf, kUpsampler)) return Role::kUpsampler;
    return Role::kOther;
}

UnetNames::UnetNames(const std::vector<std::string_view>& names, const std::string& path) {
    Sections sections;
    for (std::string_view name : names) {
        const std::string_view section = take_part(name);
        if (!is_section(section)) continue;
        const auto block = to_index(take_part(name));
        const auto place = section == "middle_block" ? std::optional(0) : to_index(take_part(name));
        if (!block || !place) continue;
        Role& role = sections[section][*block][*place];
        if (role == Role::kOther) role = role_of(name);
    }
    for (const auto& [name, section] : sections) check_row(section, name, path);
    lay_out_row(sections["input_blocks"], "input_blocks", "down_blocks");
    lay_out_middle(sections["middle_block"]);
    lay_out_row(sections["output_blocks"], "output_blocks", "up_blocks");
}

void UnetNames::check_row(const Section& section, std::string_view name, const std::string& path) {
    int expected = 0;
    for (const auto& [number, block] : section) {
        if (number != expected)
            fail(ErrorCode::kInvalidModel, "'" + path + "': the UNet has no '" + item(name, expected) +
                                               "' but has '" + item(name, number) +
                                               "': the file is incomplete");
        ++expected;
    }
}

void UnetNames::place(std::string_view section, int block, int place, Role role, std::string canonical) {
    const std::string middle = item(section, block);
    places_[section == "middle_block" ? middle : item(middle, place)] = {role, std::move(canonical)};
}

void UnetNames::lay_out_row(const Section& section, std::string_view name, std::string_view blocks) {
    const bool down = name == "input_blocks";
    int block = 0;
    int layer = 0;
    for (const auto& [number, roles] : section) {
        if (down && number == 0) continue;  // conv_in
        const std::string here = item(blocks, block);
        bool ends = false;
        for (const auto& [at, role] : roles) {
            if (role == Role::kResnet) place(name, number, at, role, here + item(".resnets", layer));
            if (role == Role::kAttention) place(name, number, at, role, here + item(".attentions", layer));
            if (role != (down ? Role::kDownsampler : Role::kUpsampler)) continue;
            place(name, number, at, role, here + (down ? ".downsamplers.0" : ".upsamplers.0"));
            ends = true;
        }
        block += ends ? 1 : 0;
        layer = ends ? 0 : layer + 1;
    }
}

void UnetNames::lay_out_middle(const Section& section) {
    int resnets = 0;
    int attentions = 0;
    for (const auto& [number, roles] : section) {
        for (const auto& [at, role] : roles) {
            if (role == Role::kResnet)
                place("middle_block", number, at, role, item("mid_block.resnets", resnets++));
            if (role == Role::kAttention)
                place("middle_block", number, at, role, item("mid_block.attentions", attentions++));
        }
    }
}

std::optional<std::string> UnetNames::canonical(std::string_view name) const {
    if (auto top = rename_head(name, kTop)) return top;
    std::string_view leaf = name;
    const std::string_view section = take_part(leaf);
    if (!is_section(section)) return std::nullopt;
    take_part(leaf);
    if (section != "middle_block") take_part(leaf);
    if (leaf.empty()) return std::nullopt;
    const auto found = places_.find(name.substr(0, name.size() - leaf.size() - 1));
    if (found == places_.end()) return std::nullopt;
    std::optional<std::string> renamed;
    switch (found->second.role) {
        case Role::kResnet:
            renamed = rename_head(leaf, kResnet);
            break;
        case Role::kAttention:
            renamed = rename_head(leaf, kAttention);
            break;
        case Role::kDownsampler:
            renamed = rename_head(leaf, kDownsampler);
            break;
        case Role::kUpsampler:
            renamed = rename_head(leaf, kUpsampler);
            break;
        case Role::kOther:
            break;
    }
    if (!renamed) return std::nullopt;
    return found->second.canonical + "." + *renamed;
}

namespace {

// `name` with the first rule undone whose `to` is all of it or is followed by a dot.
std::optional<std::string> rename_back(std::string_view name, std::span<const Rename> rules) {
    for (const auto& [from, to] : rules)
        if (name.starts_with(to) && (name.size() == to.size() || name[to.size()] == '.'))
            return std::string(from).append(name.substr(to.size()));
    return std::nullopt;
}

// Where diffusers' groups of a UNet stand in the original's rows.
class OriginalPlaces {
  public:
    explicit OriginalPlaces(const std::set<std::string>& modules) {
        for (const std::string& module : modules) note(module);
        int number = 1;  // after conv_in
        for (int block = 0; has(item("down_blocks", block)); ++block) lay_out_down(block, number);
        number = 0;
        for (int block = 0; has(item("up_blocks", block)); ++block) lay_out_up(block, number);
        for (int i = 0; has(item("mid_block.resnets", i)); ++i)
            places_[item("mid_block.resnets", i)] = item("middle_block", 2 * i);
        for (int i = 0; has(item("mid_block.attentions", i)); ++i)
            places_[item("mid_block.attentions", i)] = item("middle_block", 2 * i + 1);
    }

    std::optional<std::string> original(std::string_view module) const {
        if (auto top = rename_back(module, kTop)) return top;
        const std::string_view group = group_of(module);
        const auto place = places_.find(group);
        if (place == places_.end() || group.size() == module.size()) return std::nullopt;
        const auto renamed = rename_back(module.substr(group.size() + 1), rules_of(group));
        if (!renamed) return std::nullopt;
        return place->second + "." + *renamed;
    }

  private:
    // "down_blocks.0.resnets.1" of "down_blocks.0.resnets.1.conv1"; "mid_block.resnets.0".
    static std::string_view group_of(std::string_view module) {
        std::string_view rest = module;
        const bool middle = take_part(rest) == "mid_block";
        for (int parts = middle ? 2 : 3; parts > 0; --parts) take_part(rest);
        return rest.empty() ? module : module.substr(0, module.size() - rest.size() - 1);
    }

    static std::span<const Rename> rules_of(std::string_view group) {
        if (group.find(".resnets.") != std::string_view::npos) return kResnet;
        if (group.find(".attentions.") != std::string_view::npos) return kAttention;
        if (group.find(".downsamplers.") != std::string_view::npos) return kDownsampler;
        return kUpsampler;
    }

    void note(const std::string& module) {
        const std::string_view group = group_of(module);
        groups_.emplace(group);
        if (const std::size_t dot = group.find('.'); dot != std::string_view::npos)
            groups_.emplace(group.substr(0, group.find('.', dot + 1)));
    }
    bool has(const std::string& group) const { return groups_.contains(group); }

    void lay_out_down(int block, int& number) {
        const std::string here = item("down_blocks", block);
        for (int layer = 0; has(item(here + ".resnets", layer)); ++layer, ++number) {
            const std::string row = item("input_blocks", number);
            places_[item(here + ".resnets", layer)] = item(row, 0);
            places_[item(here + ".attentions", layer)] = item(row, 1);
        }
        if (has(here + ".downsamplers.0"))
            places_[here + ".downsamplers.0"] = item(item("input_blocks", number++), 0);
    }

    void lay_out_up(int block, int& number) {
        const std::string here = item("up_blocks", block);
        for (int layer = 0; has(item(here + ".resnets", layer)); ++layer, ++number) {
            const std::string row = item("output_blocks", number);
            const bool attention = has(item(here + ".attentions", layer));
            places_[item(here + ".resnets", layer)] = item(row, 0);
            places_[item(here + ".attentions", layer)] = item(row, 1);
            places_[here + ".upsamplers.0"] = item(row, attention ? 2 : 1);  // the last layer's stays
        }
    }

    std::set<std::string> groups_;  // "up_blocks.0", "up_blocks.0.resnets.1"
    std::map<std::string, std::string, std::less<>> places_;
};

}  // namespace

std::map<std::string, std::string> original_unet_modules(const std::set<std::string>& modules) {
    const OriginalPlaces places(modules);
    std::map<std::string, std::string> originals;
    for (const std::string& module : modules)
        if (auto original = places.original(module)) originals.emplace(module, std::move(*original));
    return originals;
}

}  // namespace sdxl
