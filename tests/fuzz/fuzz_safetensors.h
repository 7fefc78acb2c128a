// The property that the safetensors fuzzer checks on one input.
#pragma once

#include <cstddef>
#include <cstdint>

// Reads the bytes as a file and as a single-file model: either a Failure with an honest code, or a header
// whose every range lies in the file. Anything else ends the process.
void check_safetensors(const std::uint8_t* data, std::size_t size);
