#include "pipeline/unused_weights.h"

#include <algorithm>
#include <cstddef>

namespace sdxl {

void warn_unused(const WeightMap& weights, std::vector<std::string>& warnings) {
    const auto unused = weights.unused();
    if (unused.empty()) return;
    std::string text =
        weights.component() + ": " + std::to_string(unused.size()) + " tensors were not used: ";
    constexpr std::size_t kNamed = 5;
    for (std::size_t i = 0; i < std::min(kNamed, unused.size()); ++i) text += (i > 0 ? ", " : "") + unused[i];
    warnings.push_back(text + (unused.size() > kNamed ? ", …" : ""));
}

}  // namespace sdxl
