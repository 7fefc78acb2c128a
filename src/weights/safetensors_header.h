// The header of a safetensors file, checked in full before any of its numbers is used.
//
// Format: 8 bytes little-endian header length, a JSON object {name: {dtype, shape, data_offsets}}, then the
// tensors' bytes back to back (https://github.com/huggingface/safetensors#format). Nothing about the bytes is
// trusted: whatever they are, parsing either gives a header whose ranges all lie inside the file or throws
// Failure. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace sdxl {

struct TensorRecord {
    std::string name;
    DType dtype = DType::kF32;
    Shape shape;
    std::uint64_t begin = 0;  // bytes from the start of the data section
    std::uint64_t end = 0;
};

struct SafetensorsHeader {
    std::uint64_t data_offset = 0;      // where the data section starts in the file
    std::vector<TensorRecord> tensors;  // in the order of their bytes, without gaps or overlaps
    std::map<std::string, std::string> metadata;
};

// `file` is the whole file; only its header is read. `path` is for messages.
// Fails with kInvalidModel, naming file, tensor, what was expected and found; with kUnsupported for an
// element type that the format has and this worker does not.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& path);

// A name from a file, quoted for a message: long ones are cut, without splitting a UTF-8 character.
std::string quoted_name(std::string_view name);

}  // namespace sdxl
