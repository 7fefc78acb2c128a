// sdxl-bench device: whether a device draws what the CPU does, and how fast its steps are, in each way that
// they can be made.
#pragma once

#include <string>

namespace sdxl {

struct DeviceBenchOptions {
    std::string device = "cuda:0";
    std::string library;  // libsdxl_torch.so; "": beside the program
    std::string micro;    // a model that the CPU is quick with: pictures are compared; "": not
    std::string model;    // of full size: steps are timed; "": not
    std::string json;
    std::string precision = "bf16";
    int size = 1024;
    int repeat = 5;
};

// Prints a table of each. False where a picture is not what it should be. Fails with Failure.
bool run_device_bench(const DeviceBenchOptions& options);

}  // namespace sdxl
