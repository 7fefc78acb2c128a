// What the test's device library exports beside the devices that it registers: see heap_device.cpp.
#pragma once

#include <cstdint>

extern "C" {

struct HeapDeviceCounts {
    std::uint64_t allocations;  // since the library was loaded
    std::uint64_t bytes;        // allocated now
    std::uint64_t peak_bytes;   // at once, since the limit was last set
};

// Of one of the two devices.
void heap_device_limit(int index, std::uint64_t bytes);
HeapDeviceCounts heap_device_counts(int index);

}  // extern "C"
