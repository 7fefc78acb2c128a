#include "protocol/key_names.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

#include "core/edit_distance.h"

namespace sdxl {
namespace {

// Names longer than any of ours are not compared: the distance costs the product of both lengths.
constexpr std::size_t kLongestCompared = 64;

}  // namespace

std::string fold_name(std::string_view name) {
    std::string folded;
    for (const char c : name)
        if (c != '_') folded += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return folded;
}

bool same_name(std::string_view a, std::string_view b) {
    std::size_t i = 0;
    std::size_t j = 0;
    for (;; ++i, ++j) {
        while (i < a.size() && a[i] == '_') ++i;
        while (j < b.size() && b[j] == '_') ++j;
        if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
        if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[j])))
            return false;
    }
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
    const std::string wanted = fold_name(name);
    if (wanted.empty() || wanted.size() > kLongestCompared) return "";
    std::string_view best;
    std::size_t best_distance = wanted.size();
    for (const std::string_view candidate : candidates) {
        const std::string folded = fold_name(candidate);
        const std::size_t distance = edit_distance(wanted, folded);
        if (distance * 3 <= std::max(wanted.size(), folded.size()) + 1 && distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string list_names(std::span<const std::string_view> names) {
    std::string list;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0) list += i + 1 == names.size() ? " and " : ", ";
        list += "'";
        list += names[i];
        list += "'";
    }
    return list;
}

std::string join_pointer(std::string_view pointer, std::string_view key) {
    std::string joined(pointer);
    joined += '/';
    for (const char c : key) {
        if (c == '~')
            joined += "~0";
        else if (c == '/')
            joined += "~1";
        else
            joined += c;
    }
    return joined;
}

}  // namespace sdxl
