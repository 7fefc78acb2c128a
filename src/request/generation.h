// The one canonical request that every envelope and body becomes, and what comes of it.
//
// Complete: the seed is drawn and every field that belongs to the request has its value. Only what a model
// decides for itself stays optional (a model folder's scheduler configuration is the default where the
// request is silent). Nothing behind protocol/ sees JSON. Plain values; copy freely.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "request/names.h"

namespace sdxl {

struct GenerationRequest {
    std::string prompt;
    std::string negative_prompt;

    std::string
        model;  // a path, a name under the models folder, or a hub id; "" means the one that is loaded

    int width = 1024;             // pixels, 64..4096, divisible by 8
    int height = 1024;            // pixels, 64..4096, divisible by 8
    int steps = 30;               // 1..500
    double guidance_scale = 7.0;  // 0..50; at most 1 means no guidance
    std::uint64_t seed = 0;
    RngKind rng = RngKind::kCpu;
    int batch_size = 1;  // 1..64; picture i has seed + i

    std::optional<SchedulerType> scheduler;
    std::optional<bool> karras_sigmas;
    std::optional<TimestepSpacing> timestep_spacing;

    Precision precision = Precision::kAuto;

    ImageFormat format = ImageFormat::kPng;
    std::string save_path;           // file to write, "" for <output-dir>/<request id or time>_<seed>.png
    bool return_image_data = false;  // also as base64 in the answer
    std::string id;                  // the host's request id, "" if it sent none
};

struct GeneratedImage {
    std::string path;
    std::vector<std::uint8_t> encoded;  // the file's bytes
    std::uint64_t seed = 0;
    int width = 0;
    int height = 0;
};

struct GenerationResult {
    std::vector<GeneratedImage> images;
    std::vector<std::string> warnings;
    // What was really used, after the model's own defaults.
    int steps = 0;
    double guidance_scale = 0;
    SchedulerType scheduler = SchedulerType::kEuler;
    bool karras_sigmas = false;
    TimestepSpacing timestep_spacing = TimestepSpacing::kLeading;
    RngKind rng = RngKind::kCpu;
    std::string base_model;  // path
    std::string dtype;       // "bfloat16", "float32"
    std::string device_name;
    double total_seconds = 0;
    double load_seconds = 0;  // 0 when the model was ready
    double encode_seconds = 0;
    double denoise_seconds = 0;
    double decode_seconds = 0;
    std::uint64_t peak_memory_bytes = 0;  // peak resident memory of the process
};

enum class Stage { kLoad, kEncode, kDenoise, kDecode, kWrite };
std::string_view stage_name(Stage stage);

struct ProgressEvent {
    Stage stage = Stage::kLoad;
    double done = 0;  // kLoad: bytes; kDenoise: steps; else 0 or 1
    double total = 0;
};
// Called on the engine's thread; must return quickly.
using ProgressSink = std::function<void(const ProgressEvent&)>;

}  // namespace sdxl
