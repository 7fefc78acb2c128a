// From the predictions for the parts of a batch to the one that a picture's scheduler takes.
#pragma once

#include <span>
#include <vector>

namespace sdxl {

struct GuidanceScales {
    float scale = 1;    // classifier-free guidance: Ho and Salimans 2022
    float pag = 0;      // perturbed-attention guidance: Ahn et al. 2024
    float rescale = 0;  // Lin et al. 2023, section 3.4
};

// `negative` and `perturbed` are empty where their part was not computed; else all are equally long.
std::vector<float> guide(std::span<const float> negative, std::span<const float> prompt,
                         std::span<const float> perturbed, const GuidanceScales& scales);

}  // namespace sdxl
