// Weights that are not numbers: a file that was trained to death or damaged.
#pragma once

#include "core/cancel_token.h"
#include "tensor/host_view.h"
#include "weights/weight_scope.h"

namespace sdxl {

// Whether every value of a floating-point view is a number; true for other element types.
bool all_finite(const HostView& view);

// Fails with kInvalidModel, naming file and tensor, at the first tensor with a NaN or an infinity. Reads
// every byte.
void require_finite(const WeightMap& weights, const CancelToken& cancel);

}  // namespace sdxl
