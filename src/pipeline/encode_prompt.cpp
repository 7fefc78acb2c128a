#include "pipeline/encode_prompt.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
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
    EncoderInversions inversions;
};

// One prompt as both encoders take it; as many chunks for each.
struct Half {
    Chunks first, second;
};

Chunks chunks_of(const std::string& text, bool weighting, const Encoder& encoder, const char* name,
                 std::vector<std::string>* warnings) {
    const auto parts = weighting ? parse_prompt_weights(text) : std::vector<PromptPart>{{text, 1.0, false}};
    Chunks chunks = chunk_prompt(parts, encoder.tokenizer, encoder.pad_id, encoder.inversions.triggers());
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
    const auto output = encoder.model.forward(ctx, ids, skip, encoder.inversions.rows());
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

// Which inversions took part, and what there is to say about them.
void report(const std::vector<GivenInversion>& inversions, const std::vector<bool>& used, bool guidance,
            PromptEmbeddings& result) {
    for (std::size_t i = 0; i < inversions.size(); ++i) {
        const TextualInversion& inversion = *inversions[i].inversion;
        if (used[i]) {
            result.used_triggers.push_back(inversions[i].word());
            result.warnings.insert(result.warnings.end(), inversion.warnings.begin(),
                                   inversion.warnings.end());
        } else {
            result.warnings.push_back("textual inversion '" + inversion.path.string() +
                                      "' was not used: its word '" + inversions[i].word() + "' is in no " +
                                      (guidance ? "prompt"
                                                : "prompt, and without guidance no negative one is "
                                                  "read") +
                                      " that its text encoders see");
        }
    }
}

// A prompt's chunks for each encoder.
class PromptReader {
  public:
    PromptReader(const SdxlModel& model, bool weighting, const std::vector<GivenInversion>& inversions,
                 std::vector<std::string>& warnings)
        : weighting_(weighting),
          warnings_(warnings),
          second_{*model.text_encoder_2, *model.tokenizer_2, model.pad_id_2,
                  EncoderInversions(inversions, &TextualInversion::clip_g, *model.text_encoder_2)} {
        if (model.text_encoder)
            first_.emplace(
                Encoder{*model.text_encoder, *model.tokenizer, model.pad_id,
                        EncoderInversions(inversions, &TextualInversion::clip_l, *model.text_encoder)});
    }

    Half read(const std::string& text, const std::string& text_2, const char* name) const {
        // Both tokenizers share their vocabulary, so what is too long for one is for the other: said once.
        Half half;
        if (first_) half.first = chunks_of(text, weighting_, *first_, name, &warnings_);
        half.second = chunks_of(text_2.empty() ? text : text_2, weighting_, second_, name,
                                first_ && text_2.empty() ? nullptr : &warnings_);
        fill_up(half, std::max(half.first.size(), half.second.size()));
        return half;
    }
    void fill_up(Half& half, std::size_t count) const {
        if (first_) sdxl::fill_up(half.first, count, *first_);
        sdxl::fill_up(half.second, count, second_);
    }
    // Marks what stands in the half's chunks.
    void mark_used(const Half& half, std::vector<bool>& used) const {
        for (const PromptChunk& chunk : half.first) first_->inversions.mark_used(chunk.ids, used);
        for (const PromptChunk& chunk : half.second) second_.inversions.mark_used(chunk.ids, used);
    }
    const std::optional<Encoder>& first() const { return first_; }
    const Encoder& second() const { return second_; }

  private:
    bool weighting_;
    std::vector<std::string>& warnings_;
    std::optional<Encoder> first_;
    Encoder second_;
};

}  // namespace

PromptEmbeddings encode_prompt(const Context& ctx, const SdxlModel& model, const GenerationRequest& request,
                               bool guidance, const std::vector<GivenInversion>& inversions) {
    PromptEmbeddings result;
    check_inversions(inversions);
    const PromptReader reader(model, request.prompt_weighting, inversions, result.warnings);
    std::vector<Half> halves;
    if (guidance)
        halves.push_back(reader.read(request.negative_prompt, request.negative_prompt_2, "negative_prompt"));
    halves.push_back(reader.read(request.prompt, request.prompt_2, "prompt"));
    std::size_t chunks = 0;
    for (const Half& half : halves) chunks = std::max(chunks, half.second.size());
    std::vector<const Chunks*> of_first;
    std::vector<const Chunks*> of_second;
    std::vector<bool> used(inversions.size());
    for (Half& half : halves) {
        reader.mark_used(half, used);
        reader.fill_up(half, chunks);
        result.weighted = result.weighted || is_weighted(half.first) || is_weighted(half.second);
        of_first.push_back(&half.first);
        of_second.push_back(&half.second);
    }
    report(inversions, used, guidance, result);
    const Encoded right = encode(ctx, reader.second(), of_second, request.clip_skip);
    result.context = reader.first()
                         ? side_by_side(encode(ctx, *reader.first(), of_first, request.clip_skip), right)
                         : right.hidden;
    result.pooled = rows(right.pooled, halves.size(), chunks);
    result.tokens = static_cast<std::int64_t>(right.hidden.size() / right.channels / halves.size());
    if (guidance && request.negative_prompt.empty() && request.negative_prompt_2.empty() &&
        model.force_zeros_for_empty_prompt) {
        std::fill_n(result.context.begin(), result.context.size() / 2, 0.F);
        std::fill_n(result.pooled.begin(), result.pooled.size() / 2, 0.F);
    }
    return result;
}

}  // namespace sdxl
