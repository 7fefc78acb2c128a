#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pre_tokenizer.h"

#include <pcre2.h>

#include <new>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr std::string_view kPattern =
    R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";

struct FreeMatch {
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

}  // namespace

PreTokenizer::PreTokenizer() {
    int error = 0;
    PCRE2_SIZE error_at = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern.data()), kPattern.size(),
                                     PCRE2_UTF | PCRE2_UCP, &error, &error_at, nullptr);
    if (code == nullptr)
        fail(ErrorCode::kInternal, "the tokenizer's pattern does not compile: PCRE2 error " +
                                       std::to_string(error) + " at " + std::to_string(error_at));
    pattern_ = std::shared_ptr<const void>(code, [](pcre2_code* owned) { pcre2_code_free(owned); });
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
    const auto* code = static_cast<const pcre2_code*>(pattern_.get());
    const std::unique_ptr<pcre2_match_data, FreeMatch> match(
        pcre2_match_data_create_from_pattern(code, nullptr));
    if (!match) throw std::bad_alloc();
    std::vector<std::string_view> words;
    for (PCRE2_SIZE at = 0; at < text.size();) {
        const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                      PCRE2_NO_UTF_CHECK, match.get(), nullptr);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0)
            fail(ErrorCode::kInternal, "splitting a prompt failed: PCRE2 error " + std::to_string(found));
        const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
        words.push_back(text.substr(range[0], range[1] - range[0]));
        at = range[1];  // every alternative takes at least one character
    }
    return words;
}

}  // namespace sdxl
