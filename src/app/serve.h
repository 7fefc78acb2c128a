// The protocol on stdin and stdout, until the host closes stdin, asks to stop, or sends SIGTERM or SIGINT.
#pragma once

#include "app/options.h"

namespace sdxl {

// Returns the process's exit status. What was accepted is answered first; a signal cancels it.
int serve(const AppOptions& options);

}  // namespace sdxl
