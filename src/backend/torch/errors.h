// What libtorch throws becomes ours here and nowhere else.
//
// Memory that cannot be had is kOutOfMemory, with what was asked for as libtorch tells it; anything else is
// kInternal with the first line of its message (the rest is a list of its own calls).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/GradMode.h>

namespace sdxl::torch {

// Call only from a catch block.
[[noreturn]] void translate_current(const char* op, const c10::Device& device);

// Runs `body` without automatic differentiation. Not with InferenceMode: out-of-tree devices are known not to
// know its tensors.
template <class Body>
auto guarded(const char* op, const c10::Device& device, const Body& body) {
    const c10::NoGradGuard no_grad;
    try {
        return body();
    } catch (...) {
        translate_current(op, device);
    }
}

}  // namespace sdxl::torch
