// Where CLIP's own vocabulary lies when a model brings none: tools/fetch-vocabulary puts it into
// build/vocabulary.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

namespace sdxl {

// Folders that are looked into, in order, all relative to the running program's own place (/proc/self/exe),
// so that neither the working directory nor how it was called matters: beside it, beside its build folder
// (build/release -> build/vocabulary), the main build folder of another build tree, an installation's share
// folder.
std::vector<std::filesystem::path> default_vocabulary_candidates();

// The first candidate that holds a merges.txt; absent where none does.
std::optional<std::filesystem::path> default_vocabulary_dir();

}  // namespace sdxl
