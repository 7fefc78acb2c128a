// From a prompt to what the UNet is conditioned on.
//
// SDXL's conditioning (Podell et al., 2023; diffusers' StableDiffusionXLPipeline.encode_prompt): the second
// to last hidden states of both text encoders side by side, and the second encoder's pooled projection of
// the first chunk. A refiner has the second encoder alone. Prompts are encoded in chunks of 75 tokens that
// stand one behind the other; weights scale a chunk's hidden states, which are then brought back to their
// mean, as the A1111 web UI does. Textual inversions stand in for words of any prompt
// (text/prompt_triggers.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/context.h"
#include "pipeline/sdxl_model.h"
#include "pipeline/textual_inversions.h"
#include "request/generation.h"

namespace sdxl {

struct PromptEmbeddings {
    std::vector<float> context;              // [N, tokens, channels of the encoders]
    std::vector<float> pooled;               // [N, projection]
    std::int64_t tokens = 0;                 // 77 * chunks
    bool weighted = false;                   // some token counts more or less than others
    std::vector<std::string> used_triggers;  // of the textual inversions, in the order they were given
    // Also what the used inversions' files warn of, and each inversion that no prompt mentions.
    std::vector<std::string> warnings;
};

// N is 2 (negative, positive) with guidance, else 1: without it the negative prompt is not read. An empty
// negative prompt is all zeros where the model says so. Fails with kInvalidRequest for a clip_skip beyond an
// encoder's layers, and as check_inversions and EncoderInversions do.
PromptEmbeddings encode_prompt(const Context& ctx, const SdxlModel& model, const GenerationRequest& request,
                               bool guidance, const std::vector<GivenInversion>& inversions = {});

}  // namespace sdxl
