// What a component's file holds and no module asked for.
#pragma once

#include <string>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

// One line that counts the tensors and names the first ones, or nothing.
void warn_unused(const WeightMap& weights, std::vector<std::string>& warnings);

}  // namespace sdxl
