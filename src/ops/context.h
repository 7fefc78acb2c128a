// What a network needs besides its input: where to compute, in which element type, who may stop it, who
// watches.
//
// Contexts are small values that point at things owned by the caller, which must outlive every call made with
// them.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "ops/norm_moments.h"
#include "ops/trace.h"

namespace sdxl {

struct WeightSlot;  // ops/slot.h
// The slots of one component, in the order in which its modules were made.
using WeightSlots = std::vector<std::shared_ptr<WeightSlot>>;

// For constructors of modules: the backend that prepares their weights, and the element type it will compute
// in.
struct LoadContext {
    Backend& backend;
    DType compute = DType::kF32;
    WeightSlots* slots =
        nullptr;        // gets every weight, to be made when it is used; null: they are made at once
    bool int8 = false;  // weights of products in int8, where the backend has that

    WeightForm form() const { return {compute, int8}; }
};

// For forward().
struct Context {
    Backend& backend;
    DType compute = DType::kF32;
    const CancelToken* cancel = nullptr;  // checked before every op; may be null
    Trace* trace = nullptr;               // records every op; may be null, and then costs nothing
    NormMoments* norms = nullptr;         // for a picture in tiles; null: norms are over what they are given
};

}  // namespace sdxl
