// What a generation's steps have in common: the encoded prompts and sizes, and what the UNet makes of them.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ops/context.h"
#include "pipeline/encode_prompt.h"
#include "pipeline/reference_image.h"
#include "pipeline/sdxl_model.h"
#include "request/generation.h"

namespace sdxl {

// The parts of a batch, which stand behind each other in this order.
struct BatchParts {
    bool negative = false;   // the negative prompt's half of guidance
    bool perturbed = false;  // the prompt once more, with perturbed attention

    int count() const { return 1 + (negative ? 1 : 0) + (perturbed ? 1 : 0); }
};

// Prompts and sizes for the entries of a batch, as networks take them.
struct PromptBatch {
    Tensor context;  // [N, tokens, channels]
    Tensor pooled;   // [N, projection]
    std::vector<float> time_ids;
};

// Belongs to one model in one element type. Used by one thread at a time.
class Conditioning {
  public:
    Conditioning(const Context& ctx, const SdxlModel& model, const GenerationRequest& request, bool guidance,
                 const std::vector<GivenInversion>& inversions = {});
    // For prompts that were encoded elsewhere; `time_ids` for each entry of the batch.
    Conditioning(std::vector<float> context, std::vector<float> pooled, std::vector<float> time_ids,
                 std::int64_t tokens, bool guidance);

    // Pictures that are shown beside the prompt. Fails with kInvalidRequest for a
    // reference without pictures, or an adapter for another UNet than the model's.
    void add_references(const Context& ctx, const SdxlModel& model, std::span<const Reference> references);
    // How much each of them counts in a call with these parts of all calls before and behind it, for
    // UNetOptions::image_scales.
    std::vector<float> image_scales(double before, double behind) const;

    // For `pictures` pictures in one batch, each part `pictures` times. Made on first use and kept.
    const UNetConditioning& for_batch(const Context& ctx, const SdxlModel& model, BatchParts parts,
                                      int pictures);

    // The same before the UNet made something of it, for networks beside it.
    PromptBatch prompts_for(const Context& ctx, BatchParts parts, int pictures) const;

    bool weighted() const { return weighted_; }  // by weights in the prompts
    // The words of the textual inversions that stand in the prompts.
    const std::vector<std::string>& used_triggers() const { return used_triggers_; }
    const std::vector<std::string>& warnings() const { return warnings_; }
    // Whether everything is a number.
    bool finite() const;

  private:
    struct Seen {
        std::shared_ptr<const ReferenceAdapter> adapter;
        std::vector<float> tokens;  // [halves, tokens, channels]
        float weight = 1;
        double start = 0;
        double end = 1;
    };

    std::vector<float> context_;   // [halves, tokens, channels], the negative half first
    std::vector<float> pooled_;    // [halves, projection]
    std::vector<float> time_ids_;  // [halves, ids]
    std::int64_t tokens_ = 0;
    std::int64_t halves_ = 1;
    bool weighted_ = false;
    std::vector<std::string> used_triggers_;
    std::vector<Seen> references_;
    std::vector<std::string> warnings_;
    std::map<std::tuple<bool, bool, int>, UNetConditioning> made_;  // by parts and pictures
};

}  // namespace sdxl
