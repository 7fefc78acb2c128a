// sdxl-golden modules DIR [--backend NAME]: the networks against golden values, for both file layouts and
// every element type of the backends: `reference`, `onednn` (without NAME: both), `torch` (loaded as the
// worker loads it), or `torch:DEVICE`.
//
// DIR holds micro/ (a diffusers folder), micro.safetensors (the same model as a single file) and
// micro-expected.safetensors (inputs and outputs made with diffusers). One line per case; returns 0 only if
// at least one case ran and none failed.
#pragma once

#include <string>

int run_modules(const std::string& dir, const std::string& backend);
