#include "request/names.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

#include "request/normal_form.h"

namespace sdxl {
namespace {

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
    std::string_view title;                  // the community's name
    std::array<std::string_view, 6> others;  // in normal form: enum names and further community names
};

// The table of schedulers: a new one is a row here. Samplers of one class stand behind the class itself, to
// which the class's name belongs.
constexpr SchedulerNames kSchedulers[] = {
    {SchedulerType::kDdim, "DDIMScheduler", "DDIM", {}},
    {SchedulerType::kDdpm, "DDPMScheduler", "DDPM", {}},
    {SchedulerType::kPndm, "PNDMScheduler", "PLMS", {"pndm"}},
    {SchedulerType::kLms, "LMSDiscreteScheduler", "LMS", {"lmsdiscrete", "klms"}},
    {SchedulerType::kHeun, "HeunDiscreteScheduler", "Heun", {"heundiscrete", "kheun"}},
    {SchedulerType::kEuler, "EulerDiscreteScheduler", "Euler", {"eulerdiscrete", "keuler"}},
    {SchedulerType::kEulerAncestral,
     "EulerAncestralDiscreteScheduler",
     "Euler a",
     {"eulerancestral", "eulerancestraldiscrete", "keulera", "keulerancestral"}},
    {SchedulerType::kDpm2, "KDPM2DiscreteScheduler", "DPM2", {"kdpm2discrete", "kdpm2", "dpm2discrete"}},
    {SchedulerType::kDpm2Ancestral,
     "KDPM2AncestralDiscreteScheduler",
     "DPM2 a",
     {"kdpm2ancestraldiscrete", "kdpm2ancestral", "kdpm2a", "dpm2ancestral"}},
    {SchedulerType::kDpmSolverMultistep,
     "DPMSolverMultistepScheduler",
     "DPM++ 2M",
     {"dpmsolvermultistep", "dpmsolver++", "dpm++", "dpmpp2m", "dpmsolver"}},
    {SchedulerType::kDpmPlusPlus2MSde,
     "DPMSolverMultistepScheduler",
     "DPM++ 2M SDE",
     {"dpmpp2msde", "dpmsolvermultistepsde"}},
    {SchedulerType::kDpmPlusPlus2MSdeHeun,
     "DPMSolverMultistepScheduler",
     "DPM++ 2M SDE Heun",
     {"dpmpp2msdeheun"}},
    {SchedulerType::kDpmPlusPlus3M, "DPMSolverMultistepScheduler", "DPM++ 3M", {"dpmpp3m"}},
    {SchedulerType::kDpmPlusPlus3MSde, "DPMSolverMultistepScheduler", "DPM++ 3M SDE", {"dpmpp3msde"}},
    {SchedulerType::kDpmSolverSde, "DPMSolverSDEScheduler", "DPM++ SDE", {"dpmsolversde", "dpmppsde"}},
    {SchedulerType::kDpmSolverSinglestep,
     "DPMSolverSinglestepScheduler",
     "DPM++ 2S",
     {"dpmsolversinglestep", "dpmpp2s"}},
    {SchedulerType::kUniPc, "UniPCMultistepScheduler", "UniPC", {"unipcmultistep"}},
    {SchedulerType::kDeis, "DEISMultistepScheduler", "DEIS", {"deismultistep"}},
    {SchedulerType::kLcm, "LCMScheduler", "LCM", {}},
    {SchedulerType::kTcd, "TCDScheduler", "TCD", {}},
};

// All may stand behind a scheduler's name too.
constexpr Name<SigmaSchedule> kSigmaSchedules[] = {
    {"plain", SigmaSchedule::kPlain},
    {"karras", SigmaSchedule::kKarras},
    {"exponential", SigmaSchedule::kExponential},
    {"beta", SigmaSchedule::kBeta},
    {"sgmuniform", SigmaSchedule::kSgmUniform},
    {"alignyoursteps", SigmaSchedule::kAlignYourSteps},
    {"ays", SigmaSchedule::kAlignYourSteps},
};

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

constexpr Name<ResizeMode> kResizeModes[] = {
    {"stretch", ResizeMode::kStretch},
    {"crop", ResizeMode::kCrop},
    {"pad", ResizeMode::kPad},
};

constexpr Name<RngKind> kRngs[] = {
    {"cpu", RngKind::kCpu},
    {"philox", RngKind::kPhilox},
};

constexpr Name<ImageFormat> kFormats[] = {{"png", ImageFormat::kPng},
                                          {"jpg", ImageFormat::kJpeg},
                                          {"jpeg", ImageFormat::kJpeg},
                                          {"webp", ImageFormat::kWebp}};

constexpr Name<Priority> kPrioritiesByName[] = {{"low", Priority::kLow},
                                                {"normal", Priority::kNormal},
                                                {"high", Priority::kHigh},
                                                {"critical", Priority::kCritical}};

constexpr Name<Precision> kPrecisions[] = {
    {"auto", Precision::kAuto},    {"float32", Precision::kF32}, {"fp32", Precision::kF32},
    {"f32", Precision::kF32},      {"full", Precision::kF32},    {"bfloat16", Precision::kBF16},
    {"bf16", Precision::kBF16},    {"half", Precision::kHalf},   {"fp16", Precision::kHalf},
    {"float16", Precision::kHalf}, {"f16", Precision::kHalf},    {"int8", Precision::kInt8},
};

const SchedulerNames* find_scheduler(std::string_view normal) {
    for (const auto& row : kSchedulers) {
        if (normal_form(row.class_name) == normal || normal_form(row.title) == normal) return &row;
        for (const auto& other : row.others)
            if (!other.empty() && other == normal) return &row;
    }
    return nullptr;
}

const SchedulerNames& row_of(SchedulerType type) {
    return *std::find_if(std::begin(kSchedulers), std::end(kSchedulers),
                         [type](const SchedulerNames& row) { return row.type == type; });
}

}  // namespace

std::optional<SchedulerChoice> parse_scheduler(std::string_view name) {
    const std::string wanted = normal_form(name);
    if (const auto* row = find_scheduler(wanted)) return SchedulerChoice{row->type, {}};
    for (const auto& suffix : kSigmaSchedules) {
        if (!wanted.ends_with(suffix.name)) continue;
        const auto* row =
            find_scheduler(std::string_view(wanted).substr(0, wanted.size() - suffix.name.size()));
        if (row) return SchedulerChoice{row->type, suffix.value};
    }
    return std::nullopt;
}

std::string_view scheduler_class_name(SchedulerType type) {
    return row_of(type).class_name;
}

std::string_view scheduler_title(SchedulerType type) {
    return row_of(type).title;
}

std::vector<SchedulerType> all_schedulers() {
    std::vector<SchedulerType> types;
    for (const auto& row : kSchedulers) types.push_back(row.type);
    return types;
}

std::vector<std::string> known_schedulers() {
    std::vector<std::string> names;
    for (const auto& row : kSchedulers)
        if (find_scheduler(normal_form(row.class_name)) == &row) names.emplace_back(row.class_name);
    for (const auto& row : kSchedulers) names.emplace_back(row.title);
    names.emplace_back("DPM++ 2M Karras");
    return names;
}

std::optional<SigmaSchedule> parse_sigma_schedule(std::string_view name) {
    return find<SigmaSchedule>(kSigmaSchedules, name);
}

std::string_view sigma_schedule_name(SigmaSchedule schedule) {
    switch (schedule) {
        case SigmaSchedule::kPlain:
            return "plain";
        case SigmaSchedule::kKarras:
            return "karras";
        case SigmaSchedule::kExponential:
            return "exponential";
        case SigmaSchedule::kBeta:
            return "beta";
        case SigmaSchedule::kSgmUniform:
            return "sgm_uniform";
        case SigmaSchedule::kAlignYourSteps:
            return "align_your_steps";
    }
    return "";
}

std::string_view sigma_schedule_title(SigmaSchedule schedule) {
    switch (schedule) {
        case SigmaSchedule::kPlain:
            return "Plain";
        case SigmaSchedule::kKarras:
            return "Karras";
        case SigmaSchedule::kExponential:
            return "Exponential";
        case SigmaSchedule::kBeta:
            return "Beta";
        case SigmaSchedule::kSgmUniform:
            return "SGM Uniform";
        case SigmaSchedule::kAlignYourSteps:
            return "Align Your Steps";
    }
    return "";
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

std::string_view image_format_name(ImageFormat format) {
    switch (format) {
        case ImageFormat::kPng:
            return "png";
        case ImageFormat::kJpeg:
            return "jpeg";
        case ImageFormat::kWebp:
            return "webp";
    }
    return "";
}

std::string_view image_format_extension(ImageFormat format) {
    return format == ImageFormat::kJpeg ? ".jpg" : (format == ImageFormat::kWebp ? ".webp" : ".png");
}

std::optional<ResizeMode> parse_resize_mode(std::string_view name) {
    return find<ResizeMode>(kResizeModes, name);
}

std::string_view resize_mode_name(ResizeMode mode) {
    switch (mode) {
        case ResizeMode::kStretch:
            return "stretch";
        case ResizeMode::kCrop:
            return "crop";
        case ResizeMode::kPad:
            return "pad";
    }
    return "";
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
        case Precision::kHalf:
            return "float16";
        case Precision::kInt8:
            return "int8";
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
