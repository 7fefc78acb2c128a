// The command line's options, shared by all ways to start the worker.
#pragma once

#include <string>

#include "engine/engine.h"

namespace sdxl {

struct AppOptions {
    EngineConfig engine;
    std::string worker = "pipeline_manager";  // takes the messages that name none
    std::string log_level = "INFO";
};

// What `sdxl-worker generate` was asked for; 0, -1 and "" leave the choice to the worker.
struct GenerateOptions {
    std::string model, prompt, negative_prompt, output, scheduler, spacing, rng, precision;
    int width = 0;
    int height = 0;
    int steps = 0;
    double guidance = -1;
    long long seed = -1;
    bool karras = false;
};

}  // namespace sdxl
