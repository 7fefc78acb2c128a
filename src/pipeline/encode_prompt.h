// From a prompt to what the UNet is conditioned on.
//
// SDXL's conditioning (Podell et al., 2023; diffusers' StableDiffusionXLPipeline.encode_prompt): the second
// to last hidden states of both text encoders side by side, and the second encoder's pooled projection.
#pragma once

#include <string>
#include <vector>

#include "ops/context.h"
#include "pipeline/sdxl_model.h"

namespace sdxl {

struct PromptEmbeddings {
    Tensor context;  // [N, 77, channels of both encoders]
    Tensor pooled;   // [N, projection]
    std::vector<std::string> warnings;
};

// N is 2 (negative, positive) with guidance, else 1. An empty negative prompt is all zeros where the model
// says so.
PromptEmbeddings encode_prompt(const Context& ctx, const SdxlModel& model, const std::string& prompt,
                               const std::string& negative_prompt, bool guidance);

}  // namespace sdxl
