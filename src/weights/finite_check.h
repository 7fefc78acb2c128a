// Whether weights are numbers: a training run that blew up leaves files that load and give black pictures.
#pragma once

#include "core/cancel_token.h"
#include "tensor/host_view.h"
#include "weights/weight_scope.h"

namespace sdxl {

// Whether every value of a floating-point view is finite; true for other element types. Reads all of it.
bool is_finite(const HostView& view);

// Fails with kInvalidModel, naming file and tensor, for the first tensor that holds a NaN or an infinity.
void require_finite(const WeightMap& weights, const CancelToken& cancel);

}  // namespace sdxl
