// Questions about a component's tensors that its configuration is derived from.
#pragma once

#include <string>

#include "weights/weight_scope.h"

namespace sdxl {

// Shape of a tensor; fails with kInvalidModel, saying that the component is not what `kind` needs, if it is
// missing or its rank differs.
Shape shape_at(const WeightMap& weights, const std::string& name, std::size_t rank, const std::string& kind);

// How many of <prefix>0<suffix>, <prefix>1<suffix>, ... there are.
int count_of(const WeightMap& weights, const std::string& prefix, const std::string& suffix);

}  // namespace sdxl
