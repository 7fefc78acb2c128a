#include "request/names.h"

#include <array>
#include <cctype>
#include <span>

namespace sdxl {
namespace {

// Lower case without spaces, underscores and hyphens: hosts write the same name in many ways. "+" is kept,
// since "DPM++ 2M" and "DPM 2M" are different samplers.
std::string normal_form(std::string_view name) {
    std::string result;
    for (const char c : name)
        if (c != ' ' && c != '_' && c != '-')
            result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

template <class E>
struct Name {
    std::string_view name;  // in normal form
    E value;
};

template <class E>
std::optional<E> find(std::span<const Name<E>> names, std::string_view name) {
    const std::string wanted = normal_form(name);
    for (const auto& entry : names)
        if (entry.name == wanted) return entry.value;
    return std::nullopt;
}

struct SchedulerNames {
    SchedulerType type;
    std::string_view class_name;
    std::array<std::string_view, 6> others;  // in normal form: enum names and community names
};

// The table of schedulers: a new one is a row here.
constexpr SchedulerNames kSchedulers[] = {
    {SchedulerType::kEuler, "EulerDiscreteScheduler", {"euler", "eulerdiscrete"}},
    {SchedulerType::kEulerAncestral,
     "EulerAncestralDiscreteScheduler",
     {"eulerancestral", "eulera", "eulerancestraldiscrete", "keulerancestral"}},
    {SchedulerType::kDpmSolverMultistep,
     "DPMSolverMultistepScheduler",
     {"dpmsolvermultistep", "dpmsolver++", "dpm++", "dpm++2m", "dpmpp2m", "dpmsolver"}},
};

constexpr std::string_view kKarrasSuffix = "karras";

constexpr Name<TimestepSpacing> kSpacings[] = {
    {"leading", TimestepSpacing::kLeading},
    {"trailing", TimestepSpacing::kTrailing},
    {"linspace", TimestepSpacing::kLinspace},
};

constexpr Name<PredictionType> kPredictions[] = {
    {"epsilon", PredictionType::kEpsilon},
    {"vprediction", PredictionType::kVPrediction},
    {"sample", PredictionType::kSample},
};

constexpr Name<RngKind> kRngs[] = {
    {"cpu", RngKind::kCpu},
    {"philox", RngKind::kPhilox},
};

constexpr Name<ImageFormat> kFormats[] = {{"png", ImageFormat::kPng}};

constexpr Name<Priority> kPrioritiesByName[] = {{"low", Priority::kLow},
                                                {"normal", Priority::kNormal},
                                                {"high", Priority::kHigh},
                                                {"critical", Priority::kCritical}};

constexpr Name<Precision> kPrecisions[] = {
    {"auto", Precision::kAuto}, {"float32", Precision::kF32},  {"fp32", Precision::kF32},
    {"f32", Precision::kF32},   {"full", Precision::kF32},     {"bfloat16", Precision::kBF16},
    {"bf16", Precision::kBF16}, {"float16", Precision::kBF16}, {"fp16", Precision::kBF16},
    {"f16", Precision::kBF16},  {"half", Precision::kBF16},
};

std::optional<SchedulerType> find_scheduler(std::string_view normal) {
    for (const auto& row : kSchedulers) {
        if (normal_form(row.class_name) == normal) return row.type;
        for (const auto& other : row.others)
            if (!other.empty() && other == normal) return row.type;
    }
    return std::nullopt;
}

}  // namespace

std::optional<SchedulerChoice> parse_scheduler(std::string_view name) {
    const std::string wanted = normal_form(name);
    if (const auto type = find_scheduler(wanted)) return SchedulerChoice{*type, std::nullopt};
    if (!wanted.ends_with(kKarrasSuffix)) return std::nullopt;
    const auto type =
        find_scheduler(std::string_view(wanted).substr(0, wanted.size() - kKarrasSuffix.size()));
    if (!type) return std::nullopt;
    return SchedulerChoice{*type, true};
}

std::string_view scheduler_class_name(SchedulerType type) {
    for (const auto& row : kSchedulers)
        if (row.type == type) return row.class_name;
    return "";
}

std::vector<std::string> known_schedulers() {
    std::vector<std::string> names;
    for (const auto& row : kSchedulers) names.emplace_back(row.class_name);
    for (const char* community : {"Euler", "Euler a", "DPM++ 2M", "DPM++ 2M Karras"})
        names.emplace_back(community);
    return names;
}

std::optional<TimestepSpacing> parse_timestep_spacing(std::string_view name) {
    return find<TimestepSpacing>(kSpacings, name);
}

std::string_view timestep_spacing_name(TimestepSpacing spacing) {
    switch (spacing) {
        case TimestepSpacing::kLeading:
            return "leading";
        case TimestepSpacing::kTrailing:
            return "trailing";
        case TimestepSpacing::kLinspace:
            return "linspace";
    }
    return "";
}

std::optional<PredictionType> parse_prediction_type(std::string_view name) {
    return find<PredictionType>(kPredictions, name);
}

std::string_view prediction_type_name(PredictionType type) {
    switch (type) {
        case PredictionType::kEpsilon:
            return "epsilon";
        case PredictionType::kVPrediction:
            return "v_prediction";
        case PredictionType::kSample:
            return "sample";
    }
    return "";
}

std::optional<RngKind> parse_rng(std::string_view name) {
    return find<RngKind>(kRngs, name);
}

std::string_view rng_name(RngKind rng) {
    return rng == RngKind::kPhilox ? "philox" : "cpu";
}

std::optional<ImageFormat> parse_image_format(std::string_view name) {
    return find<ImageFormat>(kFormats, name);
}

std::string_view image_format_name(ImageFormat) {
    return "png";
}

std::optional<Precision> parse_precision(std::string_view name) {
    return find<Precision>(kPrecisions, name);
}

std::string_view precision_name(Precision precision) {
    switch (precision) {
        case Precision::kAuto:
            return "auto";
        case Precision::kF32:
            return "float32";
        case Precision::kBF16:
            return "bfloat16";
    }
    return "";
}

std::optional<Priority> parse_priority(std::string_view name) {
    return find<Priority>(kPrioritiesByName, name);
}

std::string_view priority_name(Priority priority) {
    switch (priority) {
        case Priority::kLow:
            return "low";
        case Priority::kNormal:
            return "normal";
        case Priority::kHigh:
            return "high";
        case Priority::kCritical:
            return "critical";
    }
    return "";
}

}  // namespace sdxl
