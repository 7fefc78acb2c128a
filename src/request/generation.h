// The one canonical request that every envelope and body becomes, and what comes of it.
//
// Complete: the seed is drawn and every field that belongs to the request has its value. Only what a model
// decides for itself stays optional (a model folder's scheduler configuration is the default where the
// request is silent). Nothing behind protocol/ sees JSON. Plain values; copy freely.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "request/names.h"

namespace sdxl {

// What SDXL is told of the picture's making, in pixels (Podell et al. 2023, section 2.2).
struct SizeConditioning {
    std::array<int, 2> original{};  // [height, width]; {0, 0}: the picture's own
    std::array<int, 2> crop{};      // [top, left]
    std::array<int, 2> target{};    // [height, width]; {0, 0}: the picture's own
};

struct GenerationRequest {
    std::string prompt;
    std::string negative_prompt;
    std::string prompt_2;           // for the second text encoder; "" takes the one above
    std::string negative_prompt_2;  //
    bool prompt_weighting = true;   // (word:1.2), [word] and BREAK mean something; see text/prompt_weights.h
    int clip_skip = 0;              // layers of the text encoders to leave out at the end, diffusers' count

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
    std::optional<SigmaSchedule> sigma_schedule;
    std::optional<TimestepSpacing> timestep_spacing;
    // Steps of the request's own instead: one list at most, and `steps` is their number. See StepPlan.
    std::vector<double> timesteps;
    std::vector<double> sigmas;

    // Lin et al. 2023, section 3.4: 0 leaves guidance as it is.
    double guidance_rescale = 0;
    // Guidance applies in this part of the calls of the model; outside it only the prompt's half is computed.
    double guidance_start = 0;
    double guidance_end = 1;

    SizeConditioning sizes, negative_sizes;

    // Image to image: the picture that the first noise is laid over, width x height pixels; null starts from
    // noise alone. Of `steps` steps the last `strength` part is made: round down, as diffusers does.
    std::shared_ptr<const Image> init_image;
    double strength = 1.0;  // 0..1

    Precision precision = Precision::kAuto;

    ImageFormat format = ImageFormat::kPng;
    std::string save_path;           // file to write, "" for <output-dir>/<request id or time>_<seed>.png
    bool return_image_data = false;  // also as base64 in the answer
    bool keep_pixels = false;        // the result carries pixels; a file is written only to a save_path
    std::string id;                  // the host's request id, "" if it sent none
};

struct GeneratedImage {
    std::string path;                     // "" if no file was asked for
    std::vector<std::uint8_t> encoded;    // the file's bytes
    std::shared_ptr<const Image> pixels;  // null unless the request said keep_pixels
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
    SigmaSchedule sigma_schedule = SigmaSchedule::kPlain;
    TimestepSpacing timestep_spacing = TimestepSpacing::kLeading;
    RngKind rng = RngKind::kCpu;
    bool prompt_weighting = false;  // a prompt had weights
    std::string base_model;         // path
    std::string dtype;              // "bfloat16", "float32"
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

// What the host wants to hear while its request runs.
struct ProgressWish {
    int every = 0;         // tell about every n-th step; 0: nothing at all
    bool preview = false;  // with a small picture of what the latents show
};

struct ProgressEvent {
    Stage stage = Stage::kLoad;
    double done = 0;  // kLoad: bytes; kDenoise: steps of all pictures; else pictures
    double total = 0;
    double percent = 0;  // 0..100, of the whole job, an estimate that never falls
    double elapsed_seconds = 0;
    std::optional<double> seconds_left;    // an estimate; absent before the first step
    int part = 0;                          // 0..parts-1: which item of a batch, which stage of several
    int parts = 1;                         //
    std::shared_ptr<const Image> preview;  // RGB, an eighth of the picture's size; null unless asked for
};
// Called on the engine's thread; must return quickly.
using ProgressSink = std::function<void(const ProgressEvent&)>;

}  // namespace sdxl
