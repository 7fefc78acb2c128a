// Names of the tensors of ControlNets and T2I-Adapters: original layouts -> diffusers.
//
// An original ControlNet names its half of the UNet as the UNet does, its zero convolutions "zero_convs.3.0"
// and "middle_block_out.0", and numbers the convolutions of its hint block with the activations between them.
// (diffusers: convert_controlnet_checkpoint.) Names are those below "control_model." and "adapter.".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/unet_names.h"

namespace sdxl {

class ControlNetNames {
  public:
    // Learns the structure from all names. Fails with kInvalidModel as UnetNames does.
    ControlNetNames(const std::vector<std::string_view>& names, const std::string& path);

    // The diffusers name; nothing for a tensor that a ControlNet does not have.
    std::optional<std::string> canonical(std::string_view name) const;

  private:
    std::optional<std::string> hint_name(std::string_view leaf) const;

    UnetNames encoder_;
    int last_hint_ = 0;  // number of the hint block's last convolution
};

// Original T2I-Adapters number their resnets in one row; diffusers groups them by level.
class T2IAdapterNames {
  public:
    explicit T2IAdapterNames(const std::vector<std::string_view>& names);

    std::optional<std::string> canonical(std::string_view name) const;

  private:
    bool flat_ = false;
    int resnets_per_level_ = 1;
};

}  // namespace sdxl
