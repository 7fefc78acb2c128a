// What there is to know of a device before anything runs on it.
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace sdxl {

struct DeviceMemory {
    std::uint64_t total_bytes = 0;
    std::uint64_t available_bytes = 0;
};

struct DeviceInfo {
    std::string id;          // as requests name it: "cpu", "cuda:0", "mps", "xpu:0", "privateuseone:0"
    std::string type;        // "cpu", "cuda", "rocm", "mps", "xpu", "privateuseone"
    std::string name;        // "AMD EPYC", "NVIDIA H100", "DirectML: ..."
    std::string backend;     // "onednn", "torch", "reference"
    std::string capability;  // compute capability ("9.0") or instruction set ("avx512_bf16 vnni")
    DeviceMemory memory;
    bool unified_memory = false;  // it is the host's
    bool float16 = false;         // computes in it at least as fast as in float32
    bool bfloat16 = false;
    bool int8_weights = false;
};

}  // namespace sdxl
