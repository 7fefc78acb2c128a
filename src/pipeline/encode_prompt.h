// From a prompt to what the UNet is conditioned on.
//
// SDXL's conditioning (Podell et al., 2023; diffusers' StableDiffusionXLPipeline.encode_prompt): the second
// to last hidden states of both text encoders side by side, and the second encoder's pooled projection of
// the first chunk. A refiner has the second encoder alone. Prompts are encoded in chunks of 75 tokens that
// stand one behind the other; weights scale a chunk's hidden states, which are then brought back to their
// mean, as the A1111 web UI does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/context.h"
#include "pipeline/sdxl_model.h"
#include "request/generation.h"

namespace sdxl {

struct PromptEmbeddings {
    std::vector<float> context;  // [N, tokens, channels of the encoders]
    std::vector<float> pooled;   // [N, projection]
    std::int64_t tokens = 0;     // 77 * chunks
    bool weighted = false;       // some token counts more or less than others
    std::vector<std::string> warnings;
};

// N is 2 (negative, positive) with guidance, else 1. An empty negative prompt is all zeros where the model
// says so. Fails with kInvalidRequest for a clip_skip beyond an encoder's layers.
PromptEmbeddings encode_prompt(const Context& ctx, const SdxlModel& model, const GenerationRequest& request,
                               bool guidance);

}  // namespace sdxl
