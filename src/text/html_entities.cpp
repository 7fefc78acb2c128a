#include "text/html_entities.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "text/utf8.h"

namespace sdxl {
namespace {

// HTML 4 names of U+00A0 .. U+00FF, in order.
constexpr std::array<std::string_view, 96> kLatin1Names = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",    "copy",
    "ordf",   "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn", "sup2",   "sup3",
    "acute",  "micro",  "para",   "middot", "cedil",  "sup1",   "ordm",   "raquo",  "frac14", "frac12",
    "frac34", "iquest", "Agrave", "Aacute", "Acirc",  "Atilde", "Auml",   "Aring",  "AElig",  "Ccedil",
    "Egrave", "Eacute", "Ecirc",  "Euml",   "Igrave", "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde",
    "Ograve", "Oacute", "Ocirc",  "Otilde", "Ouml",   "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",
    "Uuml",   "Yacute", "THORN",  "szlig",  "agrave", "aacute", "acirc",  "atilde", "auml",   "aring",
    "aelig",  "ccedil", "egrave", "eacute", "ecirc",  "euml",   "igrave", "iacute", "icirc",  "iuml",
    "eth",    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide", "oslash", "ugrave",
    "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml"};

// Names that HTML also knows without a semicolon.
constexpr std::array<std::pair<std::string_view, char32_t>, 8> kBareNames = {{{"amp", U'&'},
                                                                              {"AMP", U'&'},
                                                                              {"lt", U'<'},
                                                                              {"LT", U'<'},
                                                                              {"gt", U'>'},
                                                                              {"GT", U'>'},
                                                                              {"quot", U'"'},
                                                                              {"QUOT", U'"'}}};

constexpr std::array<std::pair<std::string_view, char32_t>, 13> kSemicolonNames = {{{"apos", U'\''},
                                                                                    {"hellip", 0x2026},
                                                                                    {"ndash", 0x2013},
                                                                                    {"mdash", 0x2014},
                                                                                    {"lsquo", 0x2018},
                                                                                    {"rsquo", 0x2019},
                                                                                    {"ldquo", 0x201C},
                                                                                    {"rdquo", 0x201D},
                                                                                    {"bull", 0x2022},
                                                                                    {"euro", 0x20AC},
                                                                                    {"trade", 0x2122},
                                                                                    {"larr", 0x2190},
                                                                                    {"rarr", 0x2192}}};

// What browsers and html.unescape make of 0x80 .. 0x9F, which are control characters: Windows-1252. 0 means
// none.
constexpr std::array<char32_t, 32> kWindows1252 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

bool is_digit(char32_t c) {
    return c >= U'0' && c <= U'9';
}
bool is_name_character(char32_t c) {
    return is_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}
int hexadecimal_value(char32_t c) {
    if (is_digit(c)) return static_cast<int>(c - U'0');
    if (c >= U'a' && c <= U'f') return static_cast<int>(c - U'a') + 10;
    if (c >= U'A' && c <= U'F') return static_cast<int>(c - U'A') + 10;
    return -1;
}

char32_t character_of_number(std::uint32_t number) {
    if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF))
        return kReplacementCharacter;
    if (number >= 0x80 && number <= 0x9F) return kWindows1252[number - 0x80];
    return number;
}

std::optional<char32_t> character_of_name(std::string_view name, bool has_semicolon) {
    for (const auto& [known, character] : kBareNames)
        if (name == known) return character;
    for (std::size_t i = 0; i < kLatin1Names.size(); ++i)
        if (name == kLatin1Names[i]) return static_cast<char32_t>(0xA0 + i);
    if (has_semicolon)
        for (const auto& [known, character] : kSemicolonNames)
            if (name == known) return character;
    return std::nullopt;
}

struct Reference {
    char32_t character;
    std::size_t length;  // code points it took, with the ampersand
};

// "#39;", "#x27;": `text` starts behind the ampersand.
std::optional<Reference> read_number(std::u32string_view text) {
    const bool hexadecimal = text.size() > 1 && (text[1] == U'x' || text[1] == U'X');
    const std::uint32_t base = hexadecimal ? 16 : 10;
    const std::size_t first = hexadecimal ? 2 : 1;
    std::size_t at = first;
    std::uint32_t number = 0;
    for (; at < text.size(); ++at) {
        const int digit = hexadecimal_value(text[at]);
        if (digit < 0 || digit >= static_cast<int>(base)) break;
        if (number <= 0x10FFFF) number = number * base + static_cast<std::uint32_t>(digit);
    }
    if (at == first) return std::nullopt;
    if (at < text.size() && text[at] == U';') ++at;
    return Reference{character_of_number(number), at + 1};
}

std::optional<Reference> read_name(std::u32string_view text) {
    constexpr std::size_t kLongestName = 8;
    std::string name;
    while (name.size() < text.size() && name.size() <= kLongestName && is_name_character(text[name.size()]))
        name.push_back(static_cast<char>(text[name.size()]));
    const bool has_semicolon = name.size() < text.size() && text[name.size()] == U';';
    const auto character = character_of_name(name, has_semicolon);
    if (!character) return std::nullopt;
    return Reference{*character, name.size() + (has_semicolon ? 2u : 1u)};
}

}  // namespace

std::u32string decode_html_entities(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        std::optional<Reference> reference;
        if (text[at] == U'&' && at + 1 < text.size()) {
            const auto rest = text.substr(at + 1);
            reference = rest[0] == U'#' ? read_number(rest) : read_name(rest);
        }
        out.push_back(reference ? reference->character : text[at]);
        at += reference ? reference->length : 1;
    }
    return out;
}

}  // namespace sdxl
