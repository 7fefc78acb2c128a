#include "ops/checks.h"

#include "core/error.h"

namespace sdxl::ops {

void refuse(std::string_view op, std::string_view what, const std::string& shapes) {
    fail(ErrorCode::kInternal, std::string(op) + ": " + std::string(what) + "; shapes " + shapes);
}

std::string shapes_of(std::initializer_list<const Tensor*> tensors) {
    std::string text;
    for (const Tensor* tensor : tensors) {
        if (tensor->defined()) text += (text.empty() ? "" : " ") + tensor->shape().str();
    }
    return text;
}

std::uint64_t bytes_of(std::initializer_list<const Tensor*> tensors) {
    std::uint64_t bytes = 0;
    for (const Tensor* tensor : tensors) {
        if (tensor->defined()) bytes += tensor->bytes();
    }
    return bytes;
}

}  // namespace sdxl::ops
