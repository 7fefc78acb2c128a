// Member names as hosts write them: the same one comes as negative_prompt, NegativePrompt or negativePrompt.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sdxl {

// Lower case without underscores: what two spellings of one name share.
std::string fold_name(std::string_view name);

// Both names in folded form are the same.
bool same_name(std::string_view a, std::string_view b);

// The candidate that `name` was most likely meant to be, "" if none is near (Levenshtein distance of the
// folded forms, about a third of the longer one at most).
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

// "'a', 'b' and 'c'", for messages.
std::string list_names(std::span<const std::string_view> names);

// `pointer` with one more member, escaped as RFC 6901 asks.
std::string join_pointer(std::string_view pointer, std::string_view key);

}  // namespace sdxl
