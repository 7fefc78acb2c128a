#include "weights/name_words.h"

#include <cctype>
#include <cstddef>

namespace sdxl {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    int kind = 0;
    for (const char raw : text) {
        const auto c = static_cast<unsigned char>(raw);
        const int now = std::isdigit(c) != 0 ? 2 : (std::isalpha(c) != 0 ? 1 : 0);
        if (now != 0 && now != kind) words.emplace_back();
        if (now != 0) words.back() += static_cast<char>(std::tolower(c));
        kind = now;
    }
    return words;
}

std::optional<int> steps_in(const std::vector<std::string>& words) {
    constexpr std::size_t kMostDigits = 2;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string& number = words[i - 1];
        if (words[i].starts_with("step") && number.size() <= kMostDigits && number != "0" &&
            std::isdigit(static_cast<unsigned char>(number[0])) != 0)
            return std::stoi(number);
    }
    return std::nullopt;
}

}  // namespace sdxl
