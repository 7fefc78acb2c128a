#include "backend/backend.h"

namespace sdxl {

std::string_view activation_name(Activation activation) {
    switch (activation) {
        case Activation::kNone:
            return "none";
        case Activation::kSilu:
            return "silu";
        case Activation::kGelu:
            return "gelu";
        case Activation::kQuickGelu:
            return "quick_gelu";
        case Activation::kRelu:
            return "relu";
    }
    return "?";
}

}  // namespace sdxl
