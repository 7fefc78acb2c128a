// sdxl-golden modules DIR: the networks against golden values, for both file layouts and every backend.
//
// DIR holds micro/ (a diffusers folder), micro.safetensors (the same model as a single file) and
// micro-expected.safetensors (inputs and outputs made with diffusers). One line per case; returns 0 only if
// at least one case ran and none failed.
#pragma once

#include <string>

int run_modules(const std::string& dir);
