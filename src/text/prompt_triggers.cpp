#include "text/prompt_triggers.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "text/text_cleaning.h"
#include "text/utf8.h"

namespace sdxl {
namespace {

bool is_word(char32_t c) {
    const auto kind = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) ||
           (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO);
}

bool stands_alone(std::u32string_view text, std::size_t begin, std::size_t end) {
    const bool joined_before = begin > 0 && is_word(text[begin - 1]) && is_word(text[begin]);
    const bool joined_behind = end < text.size() && is_word(text[end]) && is_word(text[end - 1]);
    return !joined_before && !joined_behind;
}

}  // namespace

PromptTriggers::PromptTriggers(std::vector<PromptTrigger> triggers) : triggers_(std::move(triggers)) {
    for (std::size_t i = 0; i < triggers_.size(); ++i) {
        const std::u32string word = decode_utf8(clean_text(triggers_[i].text));
        spellings_.push_back({word, i});
        spellings_.push_back({U"<" + word + U">", i});
        spellings_.push_back({U"embedding:" + word, i});
    }
    std::stable_sort(spellings_.begin(), spellings_.end(),
                     [](const Spelling& a, const Spelling& b) { return a.text.size() > b.text.size(); });
}

const PromptTriggers::Spelling* PromptTriggers::at(std::u32string_view text, std::size_t position) const {
    for (const Spelling& spelling : spellings_)
        if (text.substr(position).starts_with(spelling.text) &&
            stands_alone(text, position, position + spelling.text.size()))
            return &spelling;
    return nullptr;
}

std::vector<PromptTriggers::Piece> PromptTriggers::split(std::string_view text) const {
    const std::u32string cleaned = spellings_.empty() ? U"" : decode_utf8(clean_text(text));
    std::vector<Piece> pieces;
    std::size_t behind = 0;  // the last trigger
    const auto end_text = [&](std::size_t end) {
        if (end > behind) pieces.push_back({encode_utf8(cleaned.substr(behind, end - behind)), nullptr});
    };
    for (std::size_t i = 0; i < cleaned.size();) {
        const Spelling* found = at(cleaned, i);
        if (found == nullptr) {
            ++i;
            continue;
        }
        end_text(i);
        pieces.push_back({"", &triggers_[found->trigger]});
        i += found->text.size();
        behind = i;
    }
    if (pieces.empty()) return {{std::string(text), nullptr}};
    end_text(cleaned.size());
    return pieces;
}

}  // namespace sdxl
