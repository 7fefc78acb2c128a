// The names of preprocessors, and what there is to say about each (preprocessors.cpp has the table).
//
// Names are those of ControlNet's extensions of web UIs and node editors, ignoring case, spaces, underscores
// and hyphens. Pure functions: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "image/preprocess/preprocess.h"

namespace sdxl {

struct PreprocessorInfo {
    Preprocessor kind = Preprocessor::kNone;
    std::string_view name;   // e.g. "normal_from_depth"
    std::string_view takes;  // e.g. "a depth map, near things white"
    // For the answer's warnings where a classical filter stands in for a network, "" elsewhere.
    std::string_view note;
};

// "canny", "softedge" ("hed", "pidinet"), "scribble", "lineart", "tile", "blur", "grey" ("gray", "recolor"),
// "invert", "normal_from_depth" ("normal"), "seg", "none" ("").
std::optional<Preprocessor> parse_preprocessor(std::string_view name);
// The same, with the reason where it is none: kUnsupported for one that needs a network (depth, pose, ...),
// which is named with what to send instead; kInvalidRequest, with the names there are, for anything else.
Result<Preprocessor> find_preprocessor(std::string_view name);
const PreprocessorInfo& preprocessor_info(Preprocessor kind);
std::string_view preprocessor_name(Preprocessor kind);
// Every name worth offering in an error message or in capabilities.
std::vector<std::string> preprocessor_names();

}  // namespace sdxl
