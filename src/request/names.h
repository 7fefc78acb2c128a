// Enumerations of a request, each with its names in one table (names.cpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

enum class SchedulerType { kEuler, kEulerAncestral, kDpmSolverMultistep };
enum class TimestepSpacing { kLeading, kTrailing, kLinspace };
enum class PredictionType { kEpsilon, kVPrediction, kSample };
enum class RngKind { kCpu, kPhilox };
enum class ImageFormat { kPng };
enum class Precision { kAuto, kF32, kBF16 };
enum class Priority { kLow, kNormal, kHigh, kCritical };
inline constexpr int kPriorities = 4;

// A scheduler as hosts write it, with what its name implies: "DPM++ 2M Karras" is DPM-Solver multistep with
// Karras sigmas. Understood, ignoring case: diffusers class names, the same without "Scheduler", enum names,
// community names.
struct SchedulerChoice {
    SchedulerType type = SchedulerType::kEuler;
    std::optional<bool> karras;  // set only where the name says so
};
std::optional<SchedulerChoice> parse_scheduler(std::string_view name);
// diffusers class name, e.g. "EulerDiscreteScheduler".
std::string_view scheduler_class_name(SchedulerType type);
// Every name worth offering in an error message or in capabilities.
std::vector<std::string> known_schedulers();

std::optional<TimestepSpacing> parse_timestep_spacing(std::string_view name);
std::string_view timestep_spacing_name(TimestepSpacing spacing);
std::optional<PredictionType> parse_prediction_type(std::string_view name);
std::string_view prediction_type_name(PredictionType type);
std::optional<RngKind> parse_rng(std::string_view name);
std::string_view rng_name(RngKind rng);
std::optional<ImageFormat> parse_image_format(std::string_view name);
std::string_view image_format_name(ImageFormat format);
// "fp16" and "float16" mean the device's best 16-bit type (kBF16 on the CPU).
std::optional<Precision> parse_precision(std::string_view name);
std::string_view precision_name(Precision precision);
// "low", "normal", "high", "critical"
std::optional<Priority> parse_priority(std::string_view name);
std::string_view priority_name(Priority priority);

}  // namespace sdxl
