// What the bodies of a generation have in common: the meaning, range and default of each field, wherever it
// stands. What cannot be accepted becomes a finding; what is not set leaves the request as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/bodies.h"
#include "protocol/field_reader.h"
#include "request/generation.h"

namespace sdxl {

inline constexpr IntegerRange kSizeRange{64, 4096, 8};  // pixels
inline constexpr IntegerRange kStepsRange{1, 500, 1};
inline constexpr IntegerRange kBatchRange{1, 64, 1};
inline constexpr IntegerRange kSeedRange{-1, INT64_MAX, 1};  // -1: drawn
inline constexpr double kMostGuidance = 50;
inline constexpr double kStageStrength = 0.3;  // of later stages that do not say

// A prompt must be there; without one the finding points at the body.
std::string required_prompt(const std::optional<Field<std::string>>& prompt, const FieldReader& body);
// The seed that was sent; otherwise a drawn one, which fits an int32 together with those of the whole batch.
std::uint64_t seed_or_drawn(const std::optional<Field<std::int64_t>>& seed);

void read_size(FieldReader& reader, GenerationRequest& request);
std::optional<Field<std::int64_t>> find_steps(FieldReader& reader);
std::optional<Field<double>> find_guidance(FieldReader& reader);
void set_steps(const std::optional<Field<std::int64_t>>& steps, GenerationRequest& request);
void set_guidance(const std::optional<Field<double>>& guidance, GenerationRequest& request);

// [sampler_fields.cpp]
void read_scheduler(FieldReader& reader, Names names, GenerationRequest& request);
// Karras sigmas, timestep spacing and random numbers; after read_scheduler.
void read_sampling(FieldReader& reader, GenerationRequest& request);

void read_precision(FieldReader& reader, Names names, GenerationRequest& request);
// Accepts this worker's device only.
void read_device(FieldReader& reader);
// format, quality, save_path and whether the answer carries the picture.
void read_output(FieldReader& reader, GenerationRequest& request);
// Switches that trade speed for memory elsewhere.
void read_memory_switches(FieldReader& reader);
// How much of the picture before is made anew; alone there is none, and it changes nothing.
std::optional<Field<double>> find_strength(FieldReader& reader, Names names);
void set_strength(const std::optional<Field<double>>& strength, BodyRole role, const FieldReader& reader,
                  GenerationRequest& request);

}  // namespace sdxl
