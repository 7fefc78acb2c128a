// Names of the text encoders' tensors (and of CLIP's vision encoder): original layout -> transformers.
//
// CLIP-L (embedder 0) already has transformers' names behind a prefix. OpenCLIP-G (embedder 1) keeps query,
// key and value in one matrix, and its projection the other way round. (diffusers:
// convert_open_clip_checkpoint)
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sdxl {

enum class ClipPart {
    kWhole,
    kQueryKeyValue,  // rows of query, key and value stacked; the name has '{}' where "q", "k" or "v" goes
    kTransposed,     // stored [in, out], used as x P; transformers holds [out, in]
};

struct ClipName {
    std::string name;
    ClipPart part = ClipPart::kWhole;
};

// For a name below the OpenCLIP model's prefix ("conditioner.embedders.1.model."); nothing for a tensor that
// the text encoder does not use.
std::optional<ClipName> open_clip_name(std::string_view name);

// The same for OpenCLIP's picture side, names below "visual."; what the vision encoder does not use is
// nothing.
std::optional<ClipName> open_clip_vision_name(std::string_view name);

// For a transformers name: whether the text encoder uses it. It does not use position_ids and logit_scale.
bool is_clip_weight(std::string_view name);

}  // namespace sdxl
