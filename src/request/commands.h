// What else a worker can be asked for beside one generation, and what comes of it. As generation.h: typed,
// complete, plain values; nothing behind protocol/ sees JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "request/generation.h"

namespace sdxl {

// --- models ---

struct ModelLoadRequest {
    std::string model;  // path, name under the models folder, or hub id
    Precision precision = Precision::kAuto;
    std::string id = {};  // the host's name for it; "" takes the model's own
    // What makes it a suite, "" for nothing. Parts and VAE belong to it under its id from then on; the
    // refiner is ready beside it, and a generation uses it where it names it.
    ModelParts parts = {};
    std::string vae = {};
    std::string refiner = {};
    DeviceChoice device = {};
};

struct ModelUnloadRequest {
    std::string model;  // its id, name or path; "" unloads everything
};

struct ModelInfoRequest {
    std::string model;  // path, name or hub id; "" means all that are loaded or lie in the models folder
};

struct CleanupRequest {
    bool unload_models = false;
};

struct ModelInfo {
    std::string id;
    std::string path;
    std::string kind;  // "sdxl-base"
    bool loaded = false;
    std::string dtype;               // of the loaded weights; "" if not loaded
    std::uint64_t size_bytes = 0;    // of its weights in its files
    std::uint64_t memory_bytes = 0;  // of its weights in memory now; what models share counts for each
    // What stands in for its own parts: "unet", "vae", ... and the path; and the refiner of its suite.
    std::vector<std::pair<std::string, std::string>> parts;
    double load_seconds = 0;  // 0 if it was loaded already
    std::vector<std::string> warnings;
    std::string device = {};  // id, where it is loaded or would be
};

struct ModelUnloadResult {
    std::vector<std::string> models;  // ids of what was unloaded
    std::vector<std::string> warnings;
};

struct CleanupResult {
    std::vector<std::string> unloaded;    // ids
    std::uint64_t memory_used_bytes = 0;  // resident memory afterwards
    std::uint64_t freed_bytes = 0;        // by how much it fell
    std::vector<std::string> warnings;
};

// --- several generations in one request ---

struct BatchItem {
    Result<GenerationRequest> request = Error{};  // an item that could not be read fails alone
    std::vector<std::string> warnings;
};

struct BatchRequest {
    std::vector<BatchItem> items;
};

struct BatchItemResult {
    Result<GenerationResult> result = Error{};
    std::vector<std::string> warnings;
};

struct BatchResult {
    std::vector<BatchItemResult> items;  // in the request's order
};

// The picture of each stage is the next one's init_image.
struct GenerationStage {
    std::string name;  // the host's, else "stage 1", ...
    GenerationRequest request;
};

struct StagesRequest {
    std::vector<GenerationStage> stages;  // at least one; every stage makes one picture
};

struct StageResult {
    std::string name;
    GenerationResult result;
};

struct StagesResult {
    std::vector<StageResult> stages;  // in order; the last one holds the picture that was asked for
};

}  // namespace sdxl
