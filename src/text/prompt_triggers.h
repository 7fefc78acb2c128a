// Words of a prompt that stand for vectors which no vocabulary has: textual inversions.
//
// A trigger is found in the cleaned text (clean_text: case and white space do not matter), as a whole word:
// not next to a letter or digit where it begins or ends with one. Written alone, in angle brackets, or behind
// "embedding:" (ComfyUI); the longest one wins. The A1111 web UI compares token ids instead, which comes to
// the same except that it misses a trigger whose punctuation runs on ("<a><b>", "<a>,") and finds one before
// a digit. Immutable: any threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

struct PromptTrigger {
    std::string text;
    std::int32_t first_id = 0;  // its vectors are the ids from here on
    std::int32_t count = 1;
};

class PromptTriggers {
  public:
    struct Piece {
        std::string text;                        // between triggers
        const PromptTrigger* trigger = nullptr;  // or one of them
    };

    PromptTriggers() = default;
    // REQUIRES: the texts, cleaned, are not empty.
    explicit PromptTriggers(std::vector<PromptTrigger> triggers);
    // Pieces point into this.
    PromptTriggers(const PromptTriggers&) = delete;
    PromptTriggers& operator=(const PromptTriggers&) = delete;
    PromptTriggers(PromptTriggers&&) = default;
    PromptTriggers& operator=(PromptTriggers&&) = default;

    // The text in pieces; one that is `text` itself where no trigger is in it.
    std::vector<Piece> split(std::string_view text) const;

  private:
    struct Spelling {
        std::u32string text;
        std::size_t trigger = 0;
    };
    const Spelling* at(std::u32string_view text, std::size_t position) const;

    std::vector<PromptTrigger> triggers_;
    std::vector<Spelling> spellings_;  // the longest first
};

}  // namespace sdxl
