// The demo model that comes with the worker: assets/demo.
#pragma once

#include <filesystem>

namespace sdxl {

// Looked for beside the running program (demo), in an installation's share folder (../share/sdxl-worker/demo)
// and in the source tree that it was built from; neither the working directory nor how it was called matters.
// "" where none of them is a model.
std::filesystem::path shipped_model();

}  // namespace sdxl
