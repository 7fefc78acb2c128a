// What a request wishes about memory, and what came of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

// About one way to take less memory. Hosts send false for a switch that nobody touched: that does not make a
// picture fail which could be made with it.
enum class MemoryWish {
    kAuto,   // where it is needed
    kOn,     // whatever else
    kOff,    // only where nothing else fits, and then it is said
    kNever,  // not at all
};

struct MemoryWishes {
    MemoryWish cpu_offload = MemoryWish::kAuto;             // each network leaves memory after its stage
    MemoryWish sequential_cpu_offload = MemoryWish::kAuto;  // weights pass through it as they are used
    MemoryWish attention_slicing = MemoryWish::kAuto;  // attention works on a part of its scores at a time
    MemoryWish vae_slicing = MemoryWish::kAuto;        // pictures are decoded one by one
    MemoryWish vae_tiling = MemoryWish::kAuto;         // the VAE works piece by piece

    bool operator==(const MemoryWishes&) const = default;
};

// Where a network's weights are while it is not computed with.
enum class Residency {
    kStays,    // in the device's memory
    kLeaves,   // not there: made again from the file for its next stage
    kStreams,  // what exceeds a budget is there one by one, while it is used
};
// "stays", "leaves", "streams"
std::string_view residency_name(Residency residency);

// Estimated peak of all the worker takes, by stage.
struct StageMemory {
    std::string stage;  // "load", "encode", "denoise", "decode", ...
    std::uint64_t bytes = 0;
};

struct MemoryReport {
    Residency text_encoders = Residency::kStays;
    Residency unet = Residency::kStays;
    Residency vae = Residency::kStays;
    bool vae_tiling = false;
    bool attention_slicing = true;
    std::vector<StageMemory> stages;
    std::uint64_t estimated_peak_bytes = 0;
    std::uint64_t limit_bytes = 0;  // what there was; 0: unknown
    std::uint64_t measured_peak_bytes = 0;
};

}  // namespace sdxl
