// The command line's options, shared by all ways to start the worker.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "orchestrator/session.h"
#include "transport/stdio_transport.h"

namespace sdxl {

struct AppOptions {
    EngineConfig engine;
    SessionOptions session;
    std::size_t max_line_bytes = StdioTransport::kDefaultMaxLineBytes;
    std::string on_eof = "drain";  // or "stop"
    std::string log_level = "INFO";
};

struct DevicesOptions {
    bool json = false;
    bool profile = false;  // measures them
};

// What `sdxl-worker generate` was asked for; what is absent or "" is the worker's choice.
struct GenerateOptions {
    std::string model, prompt, negative_prompt, output, scheduler, spacing, rng, precision, offload;
    std::string image, mask;              // files to start from
    std::string refiner, vae;             // models
    std::vector<std::string> loras;       // NAME or NAME:WEIGHT
    std::vector<std::string> embeddings;  // NAME or NAME=WORD
    std::vector<std::string> controls;    // NAME=PICTURE or NAME=PICTURE:PREPROCESSOR
    std::vector<std::string> references;  // pictures
    std::optional<long long> width, height, steps, seed;
    std::optional<double> guidance, strength;
    bool karras = false;
    bool show = false;  // draws it on the terminal, too
};

}  // namespace sdxl
