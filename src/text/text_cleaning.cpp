#include "text/text_cleaning.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "text/html_entities.h"
#include "text/utf8.h"

namespace sdxl {
namespace {

utf8proc_category_t category(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_space(char32_t c) {
    if ((c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85) return true;
    const auto kind = category(c);
    return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL || kind == UTF8PROC_CATEGORY_ZP;
}

bool is_letter(char32_t c) {
    const auto kind = category(c);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

std::u32string collapse_white_space(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size());
    bool pending = false;
    for (const char32_t c : text) {
        if (is_space(c)) {
            pending = !out.empty();
            continue;
        }
        if (pending) out.push_back(U' ');
        pending = false;
        out.push_back(c);
    }
    return out;
}

std::string compose(const std::string& text) {
    utf8proc_uint8_t* composed = nullptr;
    const auto flags = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &composed, flags);
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
    if (length == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
    if (length < 0) return text;  // valid UTF-8 that the library cannot compose: as it was written
    return {reinterpret_cast<const char*>(composed), static_cast<std::size_t>(length)};
}

}  // namespace

std::u32string lower_case(std::u32string_view text) {
    constexpr char32_t kCapitalIWithDot = 0x130, kCombiningDotAbove = 0x307;
    constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2;
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char32_t c = text[i];
        const bool ends_word =
            i > 0 && is_letter(text[i - 1]) && !(i + 1 < text.size() && is_letter(text[i + 1]));
        if (c == kCapitalIWithDot) {
            out.append({U'i', kCombiningDotAbove});
        } else if (c == kCapitalSigma && ends_word) {
            out.push_back(kFinalSigma);
        } else {
            out.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
        }
    }
    return out;
}

std::string clean_text(std::string_view text, NormalForm form) {
    std::u32string decoded = decode_html_entities(decode_html_entities(decode_utf8(text)));
    if (form == NormalForm::kComposed) decoded = decode_utf8(compose(encode_utf8(decoded)));
    return encode_utf8(lower_case(collapse_white_space(decoded)));
}

}  // namespace sdxl
