// The backends that are held against the reference, and how close they must come. A new one is a line in the
// .cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace sdxl {

struct BackendCase {
    std::string name;  // of the test: letters and digits
    std::unique_ptr<Backend> (*make)();
    DType compute;
    double tolerance;  // largest relative L2 error of one op
};

const std::vector<BackendCase>& backends_under_test();

}  // namespace sdxl
