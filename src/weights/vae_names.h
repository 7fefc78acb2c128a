// Names of the VAE's tensors: original layout and old diffusers -> diffusers.
//
// Original names are those below "first_stage_model.". The original counts decoder levels from the picture,
// diffusers from the latent, so "decoder.up.0" is the last up block. (diffusers: convert_ldm_vae_checkpoint)
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

class VaeNames {
  public:
    // Counts the decoder's levels in the VAE's original names.
    explicit VaeNames(const std::vector<std::string_view>& names);

    // The diffusers name; nothing for a tensor that a diffusers VAE does not have.
    std::optional<std::string> canonical(std::string_view name) const;

  private:
    int decoder_levels_ = 0;
};

// A diffusers VAE name as it is written since 0.18: the attention's query, key, value and proj_attn were
// renamed.
std::string modern_vae_name(std::string_view name);

}  // namespace sdxl
