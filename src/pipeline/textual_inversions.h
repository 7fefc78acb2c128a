// The textual inversions that a request names, as the text encoders take them: ids behind the vocabulary, and
// the rows that those ids are.
//
// Values: used by one thread at a time. The model's own tables are never written.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/clip_text_model.h"
#include "text/prompt_triggers.h"
#include "weights/textual_inversion_file.h"

namespace sdxl {

struct GivenInversion {
    std::shared_ptr<const TextualInversion> inversion;
    std::string trigger;  // the word that stands for it in prompts; "" for the file's own

    const std::string& word() const { return trigger.empty() ? inversion->trigger : trigger; }
};

// Fails with kInvalidRequest for a word of which nothing is left once it is cleaned, and for two that are the
// same.
void check_inversions(const std::vector<GivenInversion>& inversions);

// One text encoder's share. An inversion without vectors for it is no trigger there: it is read as text.
class EncoderInversions {
  public:
    // `part` is &TextualInversion::clip_l or clip_g. Fails with kInvalidModel, naming file and tensor, for
    // vectors of another width than the encoder's.
    EncoderInversions(const std::vector<GivenInversion>& inversions, InversionVectors TextualInversion::*part,
                      const ClipTextModel& encoder);

    const PromptTriggers& triggers() const { return triggers_; }
    // What ClipTextModel::forward takes beside its table, [vectors, hidden_size].
    std::span<const float> rows() const { return rows_; }
    // Sets used[i] where the ids have the i-th inversion that was given.
    void mark_used(std::span<const std::int32_t> ids, std::vector<bool>& used) const;

  private:
    std::int32_t first_id_;  // of all rows
    std::vector<float> rows_;
    std::vector<std::size_t> given_;  // by row: which inversion it belongs to
    PromptTriggers triggers_;
};

}  // namespace sdxl
