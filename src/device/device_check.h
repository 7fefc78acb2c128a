// Whether a device computes what it should.
#pragma once

#include <string>

#include "backend/backend.h"

namespace sdxl {

// Makes a small product in float32 and in the 16-bit types that the backend has, compares it with what it is,
// and asks for the memory. "" if all is well, or if it is only full, else what is wrong. Threads: as Backend.
// Throws nothing.
std::string find_fault(Backend& backend);

}  // namespace sdxl
