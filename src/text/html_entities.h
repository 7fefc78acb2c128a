// HTML character references, as CLIP decodes them before tokenising ("&amp;amp; &lt;" and the like in
// captions).
#pragma once

#include <string>
#include <string_view>

namespace sdxl {

// Decodes one layer: decimal and hexadecimal references, the XML five, the Latin-1 names of HTML 4 and the
// common typographic ones. As in Python's html.unescape the semicolon may be missing after a number or a
// Latin-1 name, and a number that is no character becomes U+FFFD. A name that is not known stays as it is
// written.
std::u32string decode_html_entities(std::u32string_view text);

}  // namespace sdxl
