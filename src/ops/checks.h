// Shape checks and the frame that every op runs in: cancel token, then the backend, then the trace.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "ops/context.h"

namespace sdxl::ops {

// Fails with kInternal: "<op>: <what>; shapes <shapes>".
[[noreturn]] void refuse(std::string_view op, std::string_view what, const std::string& shapes);

// "[2, 77, 64] [64]": undefined tensors are left out.
std::string shapes_of(std::initializer_list<const Tensor*> tensors);

std::uint64_t bytes_of(std::initializer_list<const Tensor*> tensors);

inline void require(bool condition, std::string_view op, std::string_view what,
                    std::initializer_list<const Tensor*> tensors) {
    if (!condition) refuse(op, what, shapes_of(tensors));
}

inline void require_defined(std::string_view op, std::initializer_list<const Tensor*> tensors) {
    for (const Tensor* tensor : tensors) {
        if (!tensor->defined()) refuse(op, "an input is undefined", shapes_of(tensors));
    }
}

// Runs `call`, which returns the result. `cost(result)` gives what the trace counts as operations, and is
// only evaluated when there is a trace.
template <class Call, class Operations>
Tensor run(const Context& ctx, std::string_view op, std::initializer_list<const Tensor*> inputs, Call call,
           Operations operations) {
    if (ctx.cancel != nullptr) ctx.cancel->check();
    if (ctx.trace == nullptr) return call();
    const auto begin = std::chrono::steady_clock::now();
    Tensor result = call();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const Trace::Cost cost{static_cast<std::uint64_t>(operations(result)), bytes_of(inputs) + result.bytes()};
    ctx.trace->record(std::string(op), shapes_of(inputs) + " -> " + result.shape().str(), cost,
                      seconds.count());
    return result;
}

}  // namespace sdxl::ops
