#include "pipeline/encode_prompt.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "ops/ops.h"
#include "text/prompt_weights.h"

namespace sdxl {
namespace {

using Chunks = std::vector<PromptChunk>;

constexpr std::size_t kMostChunks = 16;  // of one prompt: their keys and values are kept for all steps

// One text encoder with what belongs to it.
struct Encoder {
    const ClipTextModel& model;
    const Tokenizer& tokenizer;
    std::int32_t pad_id;
};

// One prompt as both encoders take it; as many chunks for each.
struct Half {
    Chunks first, second;
};

Chunks chunks_of(const std::string& text, bool weighting, const Encoder& encoder, const char* name,
                 std::vector<std::string>* warnings) {
    const auto parts = weighting ? parse_prompt_weights(text) : std::vector<PromptPart>{{text, 1.0, false}};
    Chunks chunks = chunk_prompt(parts, encoder.tokenizer, encoder.pad_id);
    if (chunks.size() <= kMostChunks) return chunks;
    if (warnings != nullptr)
        warnings->push_back(std::string(name) + ": the last " + std::to_string(chunks.size() - kMostChunks) +
                            " of " + std::to_string(chunks.size()) +
                            " chunks of 75 tokens were left out: a prompt has at most " +
                            std::to_string(kMostChunks));
    chunks.resize(kMostChunks);
    return chunks;
}

// To `count` chunks: what divides it is repeated, which attention does not notice; else chunks of nothing
// follow.
void fill_up(Chunks& chunks, std::size_t count, const Encoder& encoder) {
    const std::size_t own = chunks.size();
    for (std::size_t i = own; i < count; ++i)
        chunks.push_back(count % own == 0 ? chunks[i - own] : empty_chunk(encoder.tokenizer, encoder.pad_id));
}

bool is_weighted(const PromptChunk& chunk) {
    return std::any_of(chunk.weights.begin(), chunk.weights.end(),
                       [](float weight) { return weight != 1.F; });
}
bool is_weighted(const Chunks& chunks) {
    return std::any_of(chunks.begin(), chunks.end(),
                       [](const PromptChunk& chunk) { return is_weighted(chunk); });
}

// Multiplies a chunk's hidden states [77, C] by its weights and brings their mean back.
void weigh(std::span<float> hidden, const PromptChunk& chunk) {
    if (!is_weighted(chunk)) return;
    const std::vector<float>& weights = chunk.weights;
    const auto sum = [&] {
        double total = 0;
        for (const float value : hidden) total += value;
        return total;
    };
    const double before = sum();
    const std::size_t channels = hidden.size() / weights.size();
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] *= weights[i / channels];
    const double after = sum();
    const double factor = before / after;
    if (after == 0 || !std::isfinite(factor)) return;
    for (float& value : hidden) value = static_cast<float>(value * factor);
}

struct Encoded {
    std::vector<float> hidden;  // [halves * chunks, 77, channels], weighted
    std::vector<float> pooled;  // [halves * chunks, projection]; empty where the encoder has none
    std::size_t channels = 0;
};

Encoded encode(const Context& ctx, const Encoder& encoder, const std::vector<const Chunks*>& halves,
               int skip) {
    std::vector<std::int32_t> ids;
    std::vector<const PromptChunk*> all;
    for (const Chunks* chunks : halves)
        for (const PromptChunk& chunk : *chunks) {
            ids.insert(ids.end(), chunk.ids.begin(), chunk.ids.end());
            all.push_back(&chunk);
        }
    const auto output = encoder.model.forward(ctx, ids, skip);
    Encoded encoded;
    encoded.hidden = ops::download(ctx, output.hidden);
    encoded.channels = static_cast<std::size_t>(output.hidden.dim(2));
    const std::size_t size = encoded.hidden.size() / all.size();
    for (std::size_t i = 0; i < all.size(); ++i)
        weigh(std::span(encoded.hidden).subspan(i * size, size), *all[i]);
    if (output.pooled.defined()) encoded.pooled = ops::download(ctx, output.pooled);
    return encoded;
}

// Channels of both, token by token.
std::vector<float> side_by_side(const Encoded& left, const Encoded& right) {
    std::vector<float> both;
    both.reserve(left.hidden.size() + right.hidden.size());
    const std::size_t tokens = left.hidden.size() / left.channels;
    const auto append = [&](const Encoded& encoded, std::size_t token) {
        const auto begin = encoded.hidden.begin() + static_cast<std::ptrdiff_t>(token * encoded.channels);
        both.insert(both.end(), begin, begin + static_cast<std::ptrdiff_t>(encoded.channels));
    };
    for (std::size_t token = 0; token < tokens; ++token) {
        append(left, token);
        append(right, token);
    }
    return both;
}

// Every `stride`-th row.
std::vector<float> rows(const std::vector<float>& values, std::size_t count, std::size_t stride) {
    const std::size_t size = values.size() / (count * stride);
    std::vector<float> chosen;
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = values.begin() + static_cast<std::ptrdiff_t>(i * stride * size);
        chosen.insert(chosen.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
    }
    return chosen;
}

}  // namespace

PromptEmbeddings encode_prompt(const Context& ctx, const SdxlModel& model, const GenerationRequest& request,
                               bool guidance) {
    const Encoder first{*model.text_encoder, *model.tokenizer, model.pad_id};
    const Encoder second{*model.text_encoder_2, *model.tokenizer_2, model.pad_id_2};
    PromptEmbeddings result;
    const auto half_of = [&](const std::string& text, const std::string& text_2, const char* name) {
        // Both tokenizers share their vocabulary, so what is too long for one is for the other: said once.
        Half half{chunks_of(text, request.prompt_weighting, first, name, &result.warnings),
                  chunks_of(text_2.empty() ? text : text_2, request.prompt_weighting, second, name,
                            text_2.empty() ? nullptr : &result.warnings)};
        const std::size_t count = std::max(half.first.size(), half.second.size());
        fill_up(half.first, count, first);
        fill_up(half.second, count, second);
        return half;
    };
    std::vector<Half> halves;
    if (guidance)
        halves.push_back(half_of(request.negative_prompt, request.negative_prompt_2, "negative_prompt"));
    halves.push_back(half_of(request.prompt, request.prompt_2, "prompt"));
    std::size_t chunks = 0;
    for (const Half& half : halves) chunks = std::max(chunks, half.first.size());
    std::vector<const Chunks*> of_first;
    std::vector<const Chunks*> of_second;
    for (Half& half : halves) {
        fill_up(half.first, chunks, first);
        fill_up(half.second, chunks, second);
        result.weighted = result.weighted || is_weighted(half.first) || is_weighted(half.second);
        of_first.push_back(&half.first);
        of_second.push_back(&half.second);
    }
    const Encoded left = encode(ctx, first, of_first, request.clip_skip);
    const Encoded right = encode(ctx, second, of_second, request.clip_skip);
    std::vector<float> context = side_by_side(left, right);
    std::vector<float> pooled = rows(right.pooled, halves.size(), chunks);
    if (guidance && request.negative_prompt.empty() && request.negative_prompt_2.empty() &&
        model.force_zeros_for_empty_prompt) {
        std::fill_n(context.begin(), context.size() / 2, 0.F);
        std::fill_n(pooled.begin(), pooled.size() / 2, 0.F);
    }
    const auto batch = static_cast<std::int64_t>(halves.size());
    const auto channels = static_cast<std::int64_t>(left.channels + right.channels);
    const auto tokens = static_cast<std::int64_t>(context.size()) / (batch * channels);
    result.context = ops::upload(ctx, context, {batch, tokens, channels});
    result.pooled = ops::upload(ctx, pooled, {batch, static_cast<std::int64_t>(pooled.size()) / batch});
    return result;
}

}  // namespace sdxl
