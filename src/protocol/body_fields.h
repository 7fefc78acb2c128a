// BodyFields: what a body says of a generation, whichever of the three it is; and from there to the request.
//
// A body may be a part: a stage, an item of a batch or an object inside another takes what it does not say
// from around it. So defaults come last, in complete(). Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/members.h"
#include "protocol/report.h"
#include "request/generation.h"

namespace sdxl {

struct BodyFields {
    std::optional<Field<std::string>> prompt;
    std::optional<Field<std::string>> negative_prompt;
    std::optional<Field<std::string>> prompt_2;
    std::optional<Field<std::string>> negative_prompt_2;
    std::optional<Field<bool>> prompt_weighting;
    std::optional<Field<std::int64_t>> clip_skip;
    std::optional<Field<std::string>> model;
    std::optional<Field<std::string>> unet, text_encoder, text_encoder_2, tokenizer;
    std::optional<Field<std::string>> vae;
    std::optional<Field<std::string>> refiner;
    std::optional<Field<double>> refiner_strength;
    std::optional<Field<double>> denoising_start;
    std::optional<Field<double>> denoising_end;
    std::optional<Field<double>> aesthetic_score;
    std::optional<Field<double>> negative_aesthetic_score;
    std::optional<Field<std::string>> init_image;
    std::optional<Field<std::string>> mask_image;
    std::optional<Field<double>> mask_blur;
    std::optional<Field<std::string>> resize_mode;
    std::optional<Field<double>> pag_scale;
    std::optional<Field<FreeUFactors>> free_u;
    // cpu_offload, sequential_cpu_offload, ... [memory_fields.cpp]
    struct Memory {
        std::optional<Field<MemoryWish>> cpu_offload, sequential_cpu_offload, attention_slicing, vae_slicing,
            vae_tiling;
    } memory;
    std::optional<Field<std::int64_t>> width;
    std::optional<Field<std::int64_t>> height;
    std::optional<Field<std::int64_t>> steps;
    std::optional<Field<double>> guidance_scale;
    std::optional<Field<std::int64_t>> seed;
    std::optional<Field<std::int64_t>> batch_size;
    std::optional<Field<std::string>> scheduler;
    std::optional<Field<bool>> karras_sigmas;
    std::optional<Field<std::string>> sigma_schedule;
    std::optional<Field<std::string>> timestep_spacing;
    std::vector<SchedulerOption> scheduler_options;
    std::optional<Field<std::vector<double>>> timesteps;
    std::optional<Field<std::vector<double>>> sigmas;
    std::optional<Field<double>> guidance_rescale;
    std::optional<Field<double>> guidance_start;
    std::optional<Field<double>> guidance_end;
    // [height, width] and [top, left], for the positive and the negative half.
    std::optional<Field<std::vector<double>>> original_size, crop, target_size;
    std::optional<Field<std::vector<double>>> negative_original_size, negative_crop, negative_target_size;
    std::optional<Field<std::string>> rng;
    std::optional<Field<double>> strength;
    std::optional<Field<std::string>> precision;
    std::optional<Field<std::string>> device;
    std::optional<Field<std::string>> format;
    std::optional<Field<std::int64_t>> quality;
    std::optional<Field<std::string>> save_path;
    std::optional<Field<bool>> return_image_data;
    std::optional<Field<std::vector<LoraRequest>>> loras;
    std::optional<Field<std::vector<EmbeddingRequest>>> embeddings;
    std::optional<Field<std::vector<ControlRequest>>> controls;
    std::optional<Field<std::vector<ReferenceRequest>>> references;
    bool prompt_refused = false;  // one was sent that is not valid

    // Takes over what is not set here. Where both are set to different things, warns that `others` loses;
    // without a report it loses in peace.
    void fill_from(const BodyFields& others, Report* report);
};

// What a generation starts from where it names no picture: noise, or what the stage before it made.
enum class StartFrom { kNoise, kStage };

// The request with every default in its place and the seed drawn, if none is set. What is wrong is reported,
// and the request is then not to be used. `pointer` is where the body stands.
GenerationRequest complete(const BodyFields& fields, StartFrom start, const std::string& pointer,
                           Report& report);

// Reads what a body adds to its model [lora_fields.cpp, control_fields.cpp]; `holder`'s member is given by
// its name.
std::optional<Field<std::vector<LoraRequest>>> read_loras(const Members& holder, const char* name,
                                                          Report& report);
std::optional<Field<std::vector<EmbeddingRequest>>> read_embeddings(const Members& holder, const char* name,
                                                                    Report& report);
std::optional<Field<std::vector<ControlRequest>>> read_controls(const Members& holder, const char* name,
                                                                Report& report);
std::optional<Field<std::vector<ReferenceRequest>>> read_references(const Members& holder, const char* name,
                                                                    Report& report);
// Takes <lora:name:0.8> out of the prompts, as A1111's web UI does [prompt_tags.cpp].
void take_lora_tags(const BodyFields& fields, GenerationRequest& request, Report& report);
// Understands a scheduler's name [scheduler_field.cpp].
std::optional<SchedulerChoice> read_scheduler(const Field<std::string>& name, Report& report);
// The fields of `scheduler_config` but for those that have a place of their own in a body
// [scheduler_field.cpp].
std::vector<SchedulerOption> read_scheduler_config(const Members& config);
// The switches that trade speed for memory [memory_fields.cpp].
BodyFields::Memory read_memory(const Members& holder);
void fill_memory(BodyFields::Memory& mine, const BodyFields::Memory& others, Report* report);
MemoryWishes memory_wishes(const BodyFields::Memory& fields);
// A picture that is still to be read [image_field.cpp].
ImageSource read_image_field(const Field<std::string>& field, Report& report);
// Understands a device's name [device_field.cpp].
DeviceChoice read_device(const Field<std::string>& device, Report& report);

}  // namespace sdxl
