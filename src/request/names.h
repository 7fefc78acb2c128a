// Enumerations of a request, each with its names in one table (names.cpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/resize.h"

namespace sdxl {

// Samplers, each with its class in diffusers unless that is its name already. Four of them are
// DPMSolverMultistepScheduler in a fixed variant; kDpmSolverMultistep is whatever the configuration says.
enum class SchedulerType {
    kDdim,
    kDdpm,
    kPndm,
    kLms,
    kHeun,
    kEuler,
    kEulerAncestral,
    kDpm2,           // KDPM2Discrete
    kDpm2Ancestral,  // KDPM2AncestralDiscrete
    kDpmSolverMultistep,
    kDpmPlusPlus2MSde,
    kDpmPlusPlus2MSdeHeun,
    kDpmPlusPlus3M,
    kDpmPlusPlus3MSde,
    kDpmSolverSde,         // DPM++ SDE
    kDpmSolverSinglestep,  // DPM++ 2S
    kUniPc,
    kDeis,
    kLcm,
    kTcd,
};
// Noise levels: as the spacing of timesteps has them, or by a ramp of their own.
enum class SigmaSchedule { kPlain, kKarras, kExponential, kBeta, kSgmUniform, kAlignYourSteps };
enum class TimestepSpacing { kLeading, kTrailing, kLinspace };
enum class PredictionType { kEpsilon, kVPrediction, kSample };
enum class RngKind { kCpu, kPhilox };
enum class ImageFormat { kPng, kJpeg, kWebp };
// kHalf is the device's best 16-bit type.
enum class Precision { kAuto, kF32, kBF16, kHalf, kInt8 };
enum class Priority { kLow, kNormal, kHigh, kCritical };
inline constexpr int kPriorities = 4;

// A scheduler as hosts write it, with what its name implies: "DPM++ 2M Karras" is DPM-Solver multistep with
// Karras sigmas. Understood, ignoring case: diffusers class names, the same without "Scheduler", enum names,
// community names; behind each, the name of a sigma schedule.
struct SchedulerChoice {
    SchedulerType type = SchedulerType::kEuler;
    std::optional<SigmaSchedule> sigmas;  // set only where the name says so
};
std::optional<SchedulerChoice> parse_scheduler(std::string_view name);
// diffusers class name, e.g. "EulerDiscreteScheduler".
std::string_view scheduler_class_name(SchedulerType type);
// Community name, e.g. "DPM++ 2M SDE"; tells apart what shares a class.
std::string_view scheduler_title(SchedulerType type);
// Every sampler, in the order of the table.
std::vector<SchedulerType> all_schedulers();
// Every name worth offering in an error message or in capabilities: classes, then community names.
std::vector<std::string> known_schedulers();

// "plain", "karras", "exponential", "beta", "sgm_uniform", "align_your_steps" ("ays")
std::optional<SigmaSchedule> parse_sigma_schedule(std::string_view name);
std::string_view sigma_schedule_name(SigmaSchedule schedule);
// As the last word of a sampler's name, e.g. "Karras".
std::string_view sigma_schedule_title(SigmaSchedule schedule);

std::optional<TimestepSpacing> parse_timestep_spacing(std::string_view name);
std::string_view timestep_spacing_name(TimestepSpacing spacing);
std::optional<PredictionType> parse_prediction_type(std::string_view name);
std::string_view prediction_type_name(PredictionType type);
std::optional<RngKind> parse_rng(std::string_view name);
std::string_view rng_name(RngKind rng);
std::optional<ImageFormat> parse_image_format(std::string_view name);
std::string_view image_format_name(ImageFormat format);
// ".png", ".jpg", ".webp"
std::string_view image_format_extension(ImageFormat format);
// "stretch", "crop", "pad"
std::optional<ResizeMode> parse_resize_mode(std::string_view name);
std::string_view resize_mode_name(ResizeMode mode);
// "fp16" and "float16" mean the device's best 16-bit type (kBF16 on the CPU).
std::optional<Precision> parse_precision(std::string_view name);
std::string_view precision_name(Precision precision);
// "low", "normal", "high", "critical"
std::optional<Priority> parse_priority(std::string_view name);
std::string_view priority_name(Priority priority);

}  // namespace sdxl
