// Names of the UNet's tensors: original layout -> diffusers.
//
// The original numbers its blocks in one row ("input_blocks.4.1"); which of them are resnets, attentions,
// downsamplers or upsamplers, and so where each diffusers block begins, is read from the names themselves.
// Nothing about a model's size is assumed. Names are those below "model.diffusion_model.". (diffusers:
// convert_ldm_unet_checkpoint)
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

class UnetNames {
  public:
    // Learns the structure from all of the UNet's original names. Fails with kInvalidModel if a block is
    // missing from the row; `path` is for that message.
    UnetNames(const std::vector<std::string_view>& names, const std::string& path);

    // The diffusers name; nothing for a tensor that a diffusers UNet does not have.
    std::optional<std::string> canonical(std::string_view name) const;

  private:
    // What stands at one place of a block.
    enum class Role { kOther, kResnet, kAttention, kDownsampler, kUpsampler };
    struct Place {
        Role role = Role::kOther;
        std::string canonical;
    };
    using Block = std::map<int, Role>;     // by place in the block
    using Section = std::map<int, Block>;  // by block number
    using Sections = std::map<std::string_view, Section>;

    static Role role_of(std::string_view leaf);
    static void check_row(const Section& section, std::string_view name, const std::string& path);
    void lay_out_row(const Section& section, std::string_view name, std::string_view blocks);
    void lay_out_middle(const Section& section);
    void place(std::string_view section, int block, int place, Role role, std::string canonical);

    std::map<std::string, Place, std::less<>> places_;  // "input_blocks.4.1"
};

// The way back: diffusers' names of a whole UNet's modules, each with its original name
// ("down_blocks.1.attentions.0.proj_in" with "input_blocks.4.1.proj_in"). Modules that the original layout
// does not have are left out.
std::map<std::string, std::string> original_unet_modules(const std::set<std::string>& modules);

}  // namespace sdxl
