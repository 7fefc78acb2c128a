#include "pipeline/conditioning.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include "core/error.h"
#include "ops/ops.h"
#include "pipeline/latents.h"

namespace sdxl {
namespace {

// Original size, crop and target size, as the UNet was trained with them; a refiner takes an aesthetic score
// in place of the target size.
std::vector<float> time_ids_of(const SizeConditioning& sizes, double aesthetic_score, int ids_of_model,
                               const GenerationRequest& request) {
    const std::array<int, 2> own{request.height, request.width};
    std::vector<float> ids;
    const auto append = [&](const std::array<int, 2>& pair) {
        for (const int value : pair) ids.push_back(static_cast<float>(value));
    };
    append(sizes.original == std::array<int, 2>{} ? own : sizes.original);
    append(sizes.crop);
    if (ids_of_model == kIdsOfRefiner)
        ids.push_back(static_cast<float>(aesthetic_score));
    else
        append(sizes.target == std::array<int, 2>{} ? own : sizes.target);
    return ids;
}

// The halves that the parts take, each `times` times over.
std::vector<float> spread(const std::vector<float>& halves, std::int64_t count, BatchParts parts, int times) {
    const std::size_t size = halves.size() / static_cast<std::size_t>(count);
    std::vector<float> batch;
    const auto append = [&](std::int64_t half) {
        const auto begin =
            halves.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(half) * size);
        for (int i = 0; i < times; ++i)
            batch.insert(batch.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
    };
    if (parts.negative) append(0);
    append(count - 1);
    if (parts.perturbed) append(count - 1);
    return batch;
}

}  // namespace

Conditioning::Conditioning(const Context& ctx, const SdxlModel& model, const GenerationRequest& request,
                           bool guidance, const std::vector<GivenInversion>& inversions)
    : halves_(guidance ? 2 : 1) {
    PromptEmbeddings prompt = encode_prompt(ctx, model, request, guidance, inversions);
    context_ = std::move(prompt.context);
    pooled_ = std::move(prompt.pooled);
    tokens_ = prompt.tokens;
    weighted_ = prompt.weighted;
    used_triggers_ = std::move(prompt.used_triggers);
    warnings_ = std::move(prompt.warnings);
    const int ids = model.unet->config().time_id_count;
    if (guidance)
        time_ids_ = time_ids_of(request.negative_sizes, request.negative_aesthetic_score, ids, request);
    const auto positive = time_ids_of(request.sizes, request.aesthetic_score, ids, request);
    time_ids_.insert(time_ids_.end(), positive.begin(), positive.end());
}

Conditioning::Conditioning(std::vector<float> context, std::vector<float> pooled, std::vector<float> time_ids,
                           std::int64_t tokens, bool guidance)
    : context_(std::move(context)),
      pooled_(std::move(pooled)),
      time_ids_(std::move(time_ids)),
      tokens_(tokens),
      halves_(guidance ? 2 : 1) {}

void Conditioning::add_references(const Context& ctx, const SdxlModel& model,
                                  std::span<const Reference> references) {
    for (const Reference& reference : references) {
        const ReferenceAdapter& adapter = *reference.adapter;
        if (!adapter.fits(model.unet->config()))
            fail(ErrorCode::kInvalidRequest, "the IP-Adapter '" + adapter.path().string() +
                                                 "' is not for a model like '" + model.path.string() + "'");
        if (reference.images.empty())
            fail(ErrorCode::kInvalidRequest,
                 "the IP-Adapter '" + adapter.path().string() + "' was given no image to refer to");
        if (reference.weight == 0) continue;
        Seen seen{
            reference.adapter, {}, static_cast<float>(reference.weight), reference.start, reference.end};
        if (halves_ == 2) seen.tokens = adapter.negative_tokens(reference.images.size());
        const auto tokens = adapter.tokens(ctx, reference.images);
        seen.tokens.insert(seen.tokens.end(), tokens.begin(), tokens.end());
        references_.push_back(std::move(seen));
        made_.clear();
    }
}

std::vector<float> Conditioning::image_scales(double before, double behind) const {
    std::vector<float> scales;
    for (const Seen& seen : references_)
        scales.push_back(before >= seen.start && behind <= seen.end ? seen.weight : 0.F);
    return scales;
}

PromptBatch Conditioning::prompts_for(const Context& ctx, BatchParts parts, int pictures) const {
    const std::int64_t batch = static_cast<std::int64_t>(parts.count()) * pictures;
    const auto context = spread(context_, halves_, parts, pictures);
    const auto pooled = spread(pooled_, halves_, parts, pictures);
    const auto channels = static_cast<std::int64_t>(context.size()) / (batch * tokens_);
    return {ops::upload(ctx, context, {batch, tokens_, channels}),
            ops::upload(ctx, pooled, {batch, static_cast<std::int64_t>(pooled.size()) / batch}),
            spread(time_ids_, halves_, parts, pictures)};
}

const UNetConditioning& Conditioning::for_batch(const Context& ctx, const SdxlModel& model, BatchParts parts,
                                                int pictures) {
    const auto key = std::tuple(parts.negative, parts.perturbed, pictures);
    if (const auto found = made_.find(key); found != made_.end()) return found->second;
    const PromptBatch prompts = prompts_for(ctx, parts, pictures);
    UNetConditioning made =
        model.unet->prepare_conditioning(ctx, prompts.context, prompts.pooled, prompts.time_ids);
    for (const Seen& seen : references_)
        made.images.push_back(seen.adapter->project(ctx, spread(seen.tokens, halves_, parts, pictures),
                                                    prompts.context.dim(0)));
    return made_.emplace(key, std::move(made)).first->second;
}

bool Conditioning::finite() const {
    return all_finite(context_) && all_finite(pooled_) &&
           std::all_of(references_.begin(), references_.end(),
                       [](const Seen& seen) { return all_finite(seen.tokens); });
}

}  // namespace sdxl
