// Words in the names of model files, which tell what a model was distilled for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

// Runs of letters and of digits, in lower case: "SDXL_Lightning-4step" is sdxl, lightning, 4, step.
std::vector<std::string> words_of(std::string_view text);

// "4step", "8steps": the number, of at most two digits, before the word.
std::optional<int> steps_in(const std::vector<std::string>& words);

}  // namespace sdxl
