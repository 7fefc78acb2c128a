// sdxl-bench memory: what pictures take, planned and measured, and what taking less costs.
#pragma once

#include <string>
#include <vector>

namespace sdxl {

struct MemoryBenchOptions {
    std::string model;
    std::string json;
    std::vector<int> sizes{512, 768, 1024};
    std::vector<std::string> precisions{"bf16", "int8"};
    // "stays", "tiles" (the VAE works in tiles as well), "leaves" (each network, after its stage), "streams"
    std::vector<std::string> weights{"stays", "tiles", "leaves", "streams"};
    int steps = 2;
};

// Makes a picture of each size in each precision with weights that stay, leave or stream, each in a process
// of its own through the engine, as a host would have it made. Prints the estimated and the measured peak and
// the seconds of a step behind the first. Fails with Failure.
void run_memory_bench(const MemoryBenchOptions& options);

}  // namespace sdxl
