#include "models/weight_shapes.h"

#include "core/error.h"

namespace sdxl {

Shape shape_at(const WeightMap& weights, const std::string& name, std::size_t rank, const std::string& kind) {
    const std::string who = "'" + weights.source() + "': the " + weights.component();
    const auto* entry = weights.find(name);
    if (entry == nullptr) {
        fail(ErrorCode::kInvalidModel, who + " has no tensor " + name + ": not " + kind);
    }
    const Shape& shape = entry->view.shape;
    if (shape.rank() != rank) {
        fail(ErrorCode::kInvalidModel, who + ": " + name + " has shape " + shape.str() + ", expected " +
                                           std::to_string(rank) + " dimensions: not " + kind);
    }
    return shape;
}

int count_of(const WeightMap& weights, const std::string& prefix, const std::string& suffix) {
    for (int count = 0;; ++count) {
        std::string name = prefix;
        name.append(std::to_string(count)).append(suffix);
        if (weights.find(name) == nullptr) return count;
    }
}

}  // namespace sdxl
