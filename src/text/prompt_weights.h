// The emphasis that people write into prompts: "(word)", "((word))", "(word:1.3)", "[word]", "BREAK".
//
// Grammar and numbers are those of the A1111 web UI: a pair of round brackets multiplies by 1.1, one with a
// number by that number, a pair of square brackets divides by 1.1; pairs nest, each kind by itself; a
// backslash makes the bracket behind it an ordinary character, and is none itself. The word BREAK ends a
// chunk of 75 tokens, also inside brackets. A bracket that is never closed counts up to the end; one that was
// never opened is text. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt_triggers.h"
#include "text/tokenizer.h"

namespace sdxl {

struct PromptPart {
    std::string text;
    double weight = 1.0;
    bool breaks = false;  // BREAK: no text
};

// At least one part; neighbours of equal weight are one. Linear in the prompt's length, whatever its nesting.
std::vector<PromptPart> parse_prompt_weights(std::string_view prompt);

// What one call of a text encoder takes: start, 75 tokens, end, and what each token is to weigh.
struct PromptChunk {
    std::vector<std::int32_t> ids;  // [77] (model_max_length)
    std::vector<float> weights;     // [77]; start, end and padding weigh 1
};

// The whole prompt, however long, in at least one chunk. A chunk that is full ends at the last comma in its
// final 20 tokens, if there is one and the next token is none, so that phrases stay together. A trigger's ids
// are never parted: where they do not fit, a new chunk begins with them, as in the web UI. Fails with
// kInvalidRequest for a trigger of more vectors than a chunk has room for.
std::vector<PromptChunk> chunk_prompt(const std::vector<PromptPart>& parts, const Tokenizer& tokenizer,
                                      std::int32_t pad_id, const PromptTriggers& triggers = {});

// A chunk of nothing: the encoder is given as many chunks for the prompt as for the negative prompt.
PromptChunk empty_chunk(const Tokenizer& tokenizer, std::int32_t pad_id);

}  // namespace sdxl
