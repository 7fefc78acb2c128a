// The JSON inside a safetensors header, read event by event: no tree is built, depth is bounded by
// construction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/safetensors_header.h"

namespace sdxl {

struct HeaderJson {
    std::vector<TensorRecord> tensors;  // as written: ranges and sizes are not checked against each other yet
    std::map<std::string, std::string> metadata;
};

// Fails with kInvalidModel where `json` is not an object of tensor records with unique names, kUnsupported
// for an element type that we cannot hold.
HeaderJson read_header_json(std::string_view json, const std::string& path);

}  // namespace sdxl
