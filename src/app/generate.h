// One picture for a person: `sdxl-worker generate`.
#pragma once

#include "app/options.h"

namespace sdxl {

// Prints the picture's path on stdout, progress on stderr where that is a terminal. Returns the process's
// exit status. Ctrl-C stops within a step and leaves no file.
int generate(const AppOptions& options, const GenerateOptions& wanted);

}  // namespace sdxl
