// Finds and loads a library of backends (backend/plugin.h).
//
// A library is loaded once and stays until the process ends; asking again gives the same plugin. Libraries
// that a plugin brings along may print to stdout as they start: a program whose stdout is a protocol moves it
// out of the way first, as transport/stdio does. Threads: one at a time.
#pragma once

#include <string>

#include "backend/plugin.h"

namespace sdxl {

inline constexpr const char* kTorchPlugin = "libsdxl_torch.so";

// `library` with a slash in it is that file; a bare name is looked for beside the executable, in the folder
// lib beside its own, then where the system looks for libraries. Fails with kNotFound (and the places that
// were tried), or with kUnsupported where a file is there but is no such library, is of another build, or
// lacks a library that it needs itself.
BackendPlugin& load_backend_plugin(const std::string& library = kTorchPlugin);

}  // namespace sdxl
