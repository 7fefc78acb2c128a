#include "pipeline/encode_prompt.h"

#include <algorithm>

#include "ops/ops.h"

namespace sdxl {
namespace {

// What one encoder gives for a batch of texts.
ClipTextModel::Output encode(const Context& ctx, const ClipTextModel& encoder, const Tokenizer& tokenizer,
                             std::int32_t pad_id, const std::vector<const std::string*>& texts,
                             std::vector<std::string>* warnings) {
    std::vector<std::int32_t> ids;
    for (const std::string* text : texts) {
        const PaddedIds padded = tokenizer.encode_padded(*text, pad_id);
        ids.insert(ids.end(), padded.ids.begin(), padded.ids.end());
        if (warnings != nullptr && padded.dropped > 0)
            warnings->push_back((text == texts.back() ? "prompt: the last " : "negative_prompt: the last ") +
                                std::to_string(padded.dropped) + " of " +
                                std::to_string(padded.used + padded.dropped) +
                                " tokens do not fit into the text encoders and were left out");
    }
    return encoder.forward(ctx, ids);
}

// Entry 0 of a batch becomes all zeros.
Tensor zero_first(const Context& ctx, const Tensor& x) {
    std::vector<float> values = ops::download(ctx, x);
    std::fill_n(values.begin(), values.size() / static_cast<std::size_t>(x.dim(0)), 0.F);
    return ops::upload(ctx, values, x.shape());
}

}  // namespace

PromptEmbeddings encode_prompt(const Context& ctx, const SdxlModel& model, const std::string& prompt,
                               const std::string& negative_prompt, bool guidance) {
    std::vector<const std::string*> texts;
    if (guidance) texts.push_back(&negative_prompt);
    texts.push_back(&prompt);
    PromptEmbeddings result;
    const auto first =
        encode(ctx, *model.text_encoder, *model.tokenizer, model.pad_id, texts, &result.warnings);
    // Both tokenizers share their vocabulary, so what is too long for one is for the other: said once.
    const auto second =
        encode(ctx, *model.text_encoder_2, *model.tokenizer_2, model.pad_id_2, texts, nullptr);
    const auto batch = static_cast<std::int64_t>(texts.size());
    const std::int64_t length = first.hidden.dim(1);
    // concat_channels takes pictures: tokens are pictures one row high.
    const Tensor left = first.hidden.reshape({batch, 1, length, first.hidden.dim(2)});
    const Tensor right = second.hidden.reshape({batch, 1, length, second.hidden.dim(2)});
    const Tensor both = ops::concat_channels(ctx, left, right);
    result.context = both.reshape({batch, length, both.dim(3)});  // [N, 77, C_l + C_g]
    result.pooled = second.pooled;
    if (guidance && negative_prompt.empty() && model.force_zeros_for_empty_prompt) {
        result.context = zero_first(ctx, result.context);
        result.pooled = zero_first(ctx, result.pooled);
    }
    return result;
}

}  // namespace sdxl
