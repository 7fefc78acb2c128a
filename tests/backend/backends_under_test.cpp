#include "backends_under_test.h"

#include "backend/onednn/onednn_backend.h"
#include "backend/reference/reference_backend.h"

namespace sdxl {

const std::vector<BackendCase>& backends_under_test() {
    // bfloat16: inputs are rounded before both sides compute, so what is left is one rounding of the result
    // (2^-9) and those inside the op (attention's weights, geglu's halves).
    static const std::vector<BackendCase> cases{
        {"ReferenceF32", make_reference_backend, DType::kF32, 1e-6},
        {"OnednnF32", make_onednn_backend, DType::kF32, 1e-5},
        {"OnednnBF16", make_onednn_backend, DType::kBF16, 6e-3},
    };
    return cases;
}

}  // namespace sdxl
