// The machine this process runs on: processor and memory, as the system reports them.
//
// Any thread may call. What the system does not tell is 0 or "".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sdxl {

struct HostMemory {
    std::uint64_t total_bytes = 0;
    std::uint64_t available_bytes = 0;  // what can be had without swapping
};
HostMemory host_memory();

struct ProcessMemory {
    std::uint64_t resident_bytes = 0;
    std::uint64_t peak_resident_bytes = 0;  // since the process began
};
ProcessMemory process_memory();
// The peak counts from now on. False where the system does not do that.
bool reset_peak_memory();

// The processor's marketing name, e.g. "AMD EPYC".
std::string processor_name();
// What the processor can do, by the names of /proc/cpuinfo: "avx2", "avx512f", ...
std::vector<std::string> processor_flags();
// Processors this process may use.
int processor_count();

}  // namespace sdxl
