// Splits cleaned text into the words that byte-pair merging works on. Immutable; one may be shared by any
// threads.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace sdxl {

// The pattern of OpenAI CLIP: the two special tokens, English contractions, runs of letters, single digits,
// runs of anything else that is not white space.
class PreTokenizer {
  public:
    PreTokenizer();

    // REQUIRES: `text` is valid UTF-8 (clean_text gives it). The words point into `text`.
    std::vector<std::string_view> split(std::string_view text) const;

  private:
    std::shared_ptr<const void>
        pattern_;  // compiled once, shared by copies; a pcre2_code that no one changes
};

}  // namespace sdxl
