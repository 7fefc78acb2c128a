// What CLIP does to a prompt before it is split into words.
#pragma once

#include <string>
#include <string_view>

namespace sdxl {

enum class NormalForm { kComposed, kAsWritten };

// Any bytes in, valid UTF-8 out: HTML character references decoded twice, composed (NFC), white space
// collapsed and trimmed, lower-cased. OpenAI CLIP `basic_clean`, `whitespace_clean` and `lower`; the normal
// form is that of the Hugging Face tokenizer. `kAsWritten` leaves the normal form alone and exists for the
// golden check (tokenizer.h).
std::string clean_text(std::string_view text, NormalForm form = NormalForm::kComposed);

// Unicode lower case of every character, with the two cases where one character is not enough: U+0130 becomes
// two, and a Greek sigma that ends a word becomes the final sigma.
std::u32string lower_case(std::u32string_view text);

}  // namespace sdxl
