// The machine's devices for a person: `sdxl-worker devices`.
#pragma once

#include "app/options.h"

namespace sdxl {

// Prints a table, or JSON, on stdout. Returns the process's exit status.
int print_devices(const AppOptions& options, const DevicesOptions& wanted);

}  // namespace sdxl
