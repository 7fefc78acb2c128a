// sdxl-bench adapters: how long a LoRA takes to be in effect, next to loading the model.
#pragma once

#include <string>

namespace sdxl {

struct AdapterBenchOptions {
    std::string model;
    std::string json;
    std::string precision = "bf16";
    int rank = 32;
    int repeat = 3;
};

// Writes two LoRAs of random values over all attention layers of the UNet into a temporary folder, and times
// loading the model, a LoRA that was never seen, one that was, and going back. Fails with Failure.
void run_adapter_bench(const AdapterBenchOptions& options);

}  // namespace sdxl
