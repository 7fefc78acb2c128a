#include "pipeline/textual_inversions.h"

#include <set>
#include <utility>

#include "core/error.h"
#include "text/text_cleaning.h"

namespace sdxl {
namespace {

void check_width(const TextualInversion& inversion, const InversionVectors& vectors,
                 const ClipTextConfig& config) {
    if (vectors.width == config.hidden_size) return;
    fail(ErrorCode::kInvalidModel, "'" + inversion.path.string() + "': tensor '" + vectors.tensor +
                                       "' has vectors of " + std::to_string(vectors.width) +
                                       " values, expected " + std::to_string(config.hidden_size) +
                                       " as the model's text encoder has: use an embedding for this model");
}

}  // namespace

void check_inversions(const std::vector<GivenInversion>& inversions) {
    std::set<std::string> words;
    for (const GivenInversion& given : inversions) {
        const std::string word = clean_text(given.word());
        const std::string who = "textual inversion '" + given.inversion->path.string() + "'";
        if (word.empty())
            fail(ErrorCode::kInvalidRequest, who + " has no word that could stand in a prompt: name a token");
        if (!words.insert(word).second)
            fail(ErrorCode::kInvalidRequest,
                 who + " has the word '" + word + "', as another one has: name different tokens");
    }
}

EncoderInversions::EncoderInversions(const std::vector<GivenInversion>& inversions,
                                     InversionVectors TextualInversion::*part, const ClipTextModel& encoder)
    : first_id_(static_cast<std::int32_t>(encoder.config().vocab_size)) {
    std::vector<PromptTrigger> triggers;
    for (std::size_t i = 0; i < inversions.size(); ++i) {
        const TextualInversion& inversion = *inversions[i].inversion;
        const InversionVectors& vectors = inversion.*part;
        if (vectors.values.empty()) continue;
        check_width(inversion, vectors, encoder.config());
        triggers.push_back({inversions[i].word(), first_id_ + static_cast<std::int32_t>(given_.size()),
                            static_cast<std::int32_t>(inversion.vectors)});
        rows_.insert(rows_.end(), vectors.values.begin(), vectors.values.end());
        given_.insert(given_.end(), static_cast<std::size_t>(inversion.vectors), i);
    }
    triggers_ = PromptTriggers(std::move(triggers));
}

void EncoderInversions::mark_used(std::span<const std::int32_t> ids, std::vector<bool>& used) const {
    for (const std::int32_t id : ids)
        if (id >= first_id_) used[given_[static_cast<std::size_t>(id - first_id_)]] = true;
}

}  // namespace sdxl
