// The oracle: every op in plain C++, float32 values with double sums, one thread.
//
// Made to be read and believed, not to be fast: every other backend is tested against it, per element type.
// Supports kF32 only; weights may be float16, bfloat16, float32 or float64 and are widened when prepared.
// Threads: stateless, so instances may run beside each other; one thread at a time for one instance.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace sdxl {

std::unique_ptr<Backend> make_reference_backend();

}  // namespace sdxl
