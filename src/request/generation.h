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
#include <variant>
#include <vector>

#include "image/image.h"
#include "request/adapters.h"
#include "request/device_name.h"
#include "request/memory.h"
#include "request/names.h"

namespace sdxl {

// What SDXL is told of the picture's making, in pixels (Podell et al. 2023, section 2.2).
struct SizeConditioning {
    std::array<int, 2> original{};  // [height, width]; {0, 0}: the picture's own
    std::array<int, 2> crop{};      // [top, left]
    std::array<int, 2> target{};    // [height, width]; {0, 0}: the picture's own
};

// A picture as diffusion sees it: torch's order [4, height, width], on the scale of the UNet.
struct Latents {
    int height = 0;
    int width = 0;
    std::vector<float> values;
};

// A second model for the last part of the steps, or for a pass of its own over what the first one made.
struct RefinerRequest {
    std::string model;
    double switch_at = 0.8;          // the part of the noise schedule after which it takes over
    std::optional<double> strength;  // instead: image to image over the finished latents
};

// Of the backbone and of the skips, in the first and the second stage up. What its authors found for SDXL.
struct FreeUFactors {
    double b1 = 1.3, b2 = 1.4, s1 = 0.9, s2 = 0.2;
    bool operator==(const FreeUFactors&) const = default;
};

// A field of the scheduler's configuration, under diffusers' name.
struct SchedulerOption {
    std::string name;
    std::variant<bool, double, std::string> value;
    std::string pointer;  // where the request says so, for errors and warnings
};

// Parts of a model in place of its own: named as models are, files or folders with nothing but the part, or
// whole models.
struct ModelParts {
    std::string unet, text_encoder, text_encoder_2;  // "": its own
    std::string tokenizer;                           // a folder, for both encoders

    bool operator==(const ModelParts&) const = default;
};

struct GenerationRequest {
    std::string prompt;
    std::string negative_prompt;
    std::string prompt_2;           // for the second text encoder; "" takes the one above
    std::string negative_prompt_2;  //
    bool prompt_weighting = true;   // (word:1.2), [word] and BREAK mean something; see text/prompt_weights.h
    int clip_skip = 0;              // layers of the text encoders to leave out at the end, diffusers' count

    DeviceChoice device;

    std::string model;  // a path, a name under the models folder, or a hub id; "" means the one that was used
                        // last, else the engine's default
    ModelParts parts;

    // Of the model, not of a refiner, but for embeddings.
    std::vector<LoraRequest> loras;
    std::vector<EmbeddingRequest> embeddings;
    std::vector<ControlRequest> controls;
    std::vector<ReferenceRequest> references;

    std::string vae;  // in place of the model's own: as `model`, also a file with nothing but a VAE

    int width = 1024;                      // pixels, 64..4096, divisible by 8
    int height = 1024;                     //
    bool width_of_model = false;           // the one that the model was made for instead
    bool height_of_model = false;          //
    bool size_of_image = false;            // those of the initial image instead, as near as they can be,
    double size_scale = 1;                 // times this
    std::optional<int> steps;              // 1..500; absent: what the model wants
    std::optional<double> guidance_scale;  // 0..50; at most 1 means no guidance; absent: what the model wants
    std::uint64_t seed = 0;
    RngKind rng = RngKind::kCpu;
    int batch_size = 1;  // 1..64; picture i has seed + i

    std::optional<SchedulerType> scheduler;
    std::optional<SigmaSchedule> sigma_schedule;
    std::optional<TimestepSpacing> timestep_spacing;
    std::vector<SchedulerOption> scheduler_options;  // over the model's; see sampling/scheduler_options.h
    // Steps of the request's own instead: one list at most, and `steps` is their number. See StepPlan.
    std::vector<double> timesteps;
    std::vector<double> sigmas;

    // Lin et al. 2023, section 3.4: 0 leaves guidance as it is.
    double guidance_rescale = 0;
    // Perturbed-attention guidance (Ahn et al. 2024) on top of it: 0 is off; costs another pass of the model.
    double pag_scale = 0;
    std::optional<FreeUFactors> free_u;  // Si et al. 2023
    // Guidance applies in this part of the calls of the model; outside it only the prompt's half is computed.
    double guidance_start = 0;
    double guidance_end = 1;

    SizeConditioning sizes, negative_sizes;

    // Image to image: the picture that the first noise is laid over. Of `steps` steps the last `strength`
    // part is made, rounded down as diffusers does; a strength of 1 starts from noise alone.
    ImageSource init_image;
    double strength = 1.0;  // 0..1
    ResizeMode resize_mode = ResizeMode::kStretch;
    // Inpainting: white where the picture is redrawn. The border that a padded picture got is redrawn, too.
    ImageSource mask_image;
    double mask_blur = 0;  // pixels, the standard deviation of the blur

    std::optional<RefinerRequest> refiner;
    // The part of the noise schedule that this request makes: an end below 1 leaves noise for another model,
    // a start above 0 takes up such latents.
    double denoising_start = 0;
    double denoising_end = 1;
    double aesthetic_score = 6.0;  // for models that take one, the refiners
    double negative_aesthetic_score = 2.5;

    // What another stage made, in place of init_image: its pixels, or its latents.
    std::shared_ptr<const Image> init_pixels;
    std::shared_ptr<const Latents> init_latents;
    int init_draws = 0;  // how often noise was drawn for it

    MemoryWishes memory;
    Precision precision = Precision::kAuto;

    ImageFormat format = ImageFormat::kPng;
    int quality = 95;       // 1..100, of formats that lose something; WebP loses nothing at 100
    std::string save_path;  // file to write, "" for <output-dir>/<request id or time>_<seed>.<format>
    bool return_image_data = false;  // also as base64 in the answer
    // For another stage: the result carries pixels or latents; a file is written only to a save_path.
    bool keep_pixels = false;
    bool keep_latents = false;
    std::string id;  // the host's request id, "" if it sent none
};

struct GeneratedImage {
    std::string path;                        // "" if no file was asked for
    std::vector<std::uint8_t> encoded;       // the file's bytes
    std::shared_ptr<const Image> pixels;     // null unless the request said keep_pixels
    std::shared_ptr<const Latents> latents;  // null unless the request said keep_latents
    std::uint64_t seed = 0;
    int width = 0;
    int height = 0;
    int draws = 0;  // how often noise was drawn for it
};

// What became of an adapter: every tensor of its file is in one of the counts.
struct AdapterReport {
    std::string name;  // the host's, or the file's
    std::string path;
    std::string family;  // "LoRA", "LoRA + DoRA", "LoHa", ...
    std::string layout;  // whose names the file has: "kohya", "diffusers", ...
    double unet_weight = 0;
    double text_encoder_weight = 0;
    double text_encoder_2_weight = 0;
    std::size_t matched = 0;                 // tensors that change the model
    std::size_t skipped = 0;                 // of a text encoder that the model does not have
    std::size_t unknown = 0;                 // that mean nothing to this worker
    std::vector<std::string> unknown_names;  // the first of them, with the reason where one is known
};

// What became of a control picture.
struct ControlReport {
    std::string type;   // as the request had it
    std::string model;  // path
    std::string kind;   // "ControlNet", "T2I-Adapter", ...
    std::string preprocessor;
    double weight = 0;
    std::vector<std::uint8_t> picture;  // as the network saw it, a PNG file; empty if it was not asked for
};

struct ReferenceReport {
    std::string model;    // path of the IP-Adapter
    std::string encoder;  // path
    std::size_t pictures = 0;
    double weight = 0;
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
    PredictionType prediction_type = PredictionType::kEpsilon;
    bool zero_terminal_snr = false;
    RngKind rng = RngKind::kCpu;
    bool prompt_weighting = false;  // a prompt had weights
    std::string base_model;         // path
    std::string refiner_model;      // path, "" if none took part
    std::string vae_model;          // path, "" if it was the model's own
    std::string model_variant;   // "base", "turbo", ...: whose defaults filled in what the request left open
    std::string variant_reason;  // where that was seen, "" for what the tensors alone say
    std::optional<double> strength;  // where there was something to start from
    std::vector<AdapterReport> adapters;
    std::vector<std::string> embeddings;  // the words of those that stood in a prompt
    std::vector<ControlReport> controls;
    std::vector<ReferenceReport> references;
    bool perturbed_attention = false;
    bool free_u = false;
    bool inpainted = false;   // there was a mask
    int refiner_steps = 0;    // those of `steps` that the refiner made, or of its own pass
    int replayed_steps = 0;   // passes through the UNet that a recording made, of all pictures
    std::string dtype;        // "bfloat16", "float32"
    std::string device;       // id: "cpu", "cuda:0"
    std::string device_name;  // "CPU: <processor>"
    double total_seconds = 0;
    double load_seconds = 0;     // 0 when the model was ready
    double adapter_seconds = 0;  // changing the weights; 0 when they were as wanted
    double encode_seconds = 0;
    double denoise_seconds = 0;
    double decode_seconds = 0;
    std::uint64_t peak_memory_bytes = 0;  // of the process (on a device, of its memory) during this request
    MemoryReport memory;
};

enum class Stage { kLoad, kEncode, kDenoise, kDecode, kWrite };
std::string_view stage_name(Stage stage);

// What the host wants to hear while its request runs.
struct ProgressWish {
    int every = 0;                 // tell about every n-th step; 0: nothing at all
    bool preview = false;          // with a small picture of what the latents show
    std::string preview_vae = {};  // decoded by this VAE, e.g. TAESDXL; "": one pixel a latent, at no cost
};

struct ProgressEvent {
    Stage stage = Stage::kLoad;
    double done = 0;  // kLoad: bytes; kDenoise: steps of all pictures; else pictures
    double total = 0;
    double percent = 0;  // 0..100, of the whole job, an estimate that never falls
    double elapsed_seconds = 0;
    std::optional<double> seconds_left;  // an estimate; absent before the first step
    int part = 0;                        // 0..parts-1: which item of a batch, which stage of several
    int parts = 1;                       //
    // RGB, null unless asked for: an eighth of the picture's size, or by preview_vae at most 512 a side.
    std::shared_ptr<const Image> preview;
};
// Called on the engine's thread; must return quickly.
using ProgressSink = std::function<void(const ProgressEvent&)>;

}  // namespace sdxl
