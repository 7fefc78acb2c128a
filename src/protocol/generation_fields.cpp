#include "protocol/generation_fields.h"

#include <algorithm>
#include <iterator>
#include <random>

#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::string_view kOtherFormats[] = {"jpg", "jpeg", "webp", "bmp", "tiff",
                                              "tif", "gif",  "avif", "exr"};
constexpr std::string_view kOtherPrecisions[] = {"int8", "int4",    "fp8",  "float8",
                                                 "nf4",  "float64", "fp64", "tf32"};
constexpr std::string_view kOtherDevicePrefixes[] = {"gpu", "cuda", "privateuseone", "dml", "directml",
                                                     "mps", "xpu"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
    return std::any_of(std::begin(names), std::end(names),
                       [&](std::string_view n) { return same_name(n, name); });
}

void read_format(FieldReader& reader, GenerationRequest& request) {
    const auto format = reader.text({"format", "output_format"});
    if (!format) return;
    if (const auto parsed = parse_image_format(format->value)) {
        request.format = *parsed;
        return;
    }
    const bool known = is_one_of(format->value, kOtherFormats);
    reader.reject(
        known ? ErrorCode::kUnsupported : ErrorCode::kInvalidRequest,
        "expected the output format 'png', the only one of this worker, found '" + format->value + "'",
        format->pointer, {"png"});
}

}  // namespace

std::string required_prompt(const std::optional<Field<std::string>>& prompt, const FieldReader& body) {
    if (prompt) return prompt->value;
    const auto& findings = body.notes().findings;
    const bool refused = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
        const std::string& pointer = finding.error.pointer;
        return same_name(pointer.substr(pointer.rfind('/') + 1), "prompt");
    });
    if (!refused)
        body.reject(ErrorCode::kInvalidRequest, "expected a prompt, found none; say in 'prompt' what to draw",
                    body.pointer());
    return "";
}

std::uint64_t seed_or_drawn(const std::optional<Field<std::int64_t>>& seed) {
    if (seed && seed->value >= 0) return static_cast<std::uint64_t>(seed->value);
    std::random_device device;
    return std::uniform_int_distribution<std::uint64_t>(0, INT32_MAX - kBatchRange.most)(device);
}

void read_size(FieldReader& reader, GenerationRequest& request) {
    if (const auto width = reader.integer({"width"}, kSizeRange))
        request.width = static_cast<int>(width->value);
    if (const auto height = reader.integer({"height"}, kSizeRange))
        request.height = static_cast<int>(height->value);
}

std::optional<Field<std::int64_t>> find_steps(FieldReader& reader) {
    return reader.integer({"steps", "num_inference_steps"}, kStepsRange);
}

std::optional<Field<double>> find_guidance(FieldReader& reader) {
    return reader.number({"guidance_scale"}, 0, kMostGuidance);
}

void set_steps(const std::optional<Field<std::int64_t>>& steps, GenerationRequest& request) {
    if (steps) request.steps = static_cast<int>(steps->value);
}

void set_guidance(const std::optional<Field<double>>& guidance, GenerationRequest& request) {
    if (guidance) request.guidance_scale = guidance->value;
}

void read_precision(FieldReader& reader, Names names, GenerationRequest& request) {
    const auto precision = reader.text(names);
    if (!precision) return;
    if (const auto parsed = parse_precision(precision->value)) {
        request.precision = *parsed;
        return;
    }
    const bool known = is_one_of(precision->value, kOtherPrecisions);
    reader.reject(
        known ? ErrorCode::kUnsupported : ErrorCode::kInvalidRequest,
        "expected one of 'auto', 'fp32', 'bf16' and 'fp16' (the device's best 16-bit type), found '" +
            precision->value + "'",
        precision->pointer, {"auto", "fp32", "bf16", "fp16"});
}

void read_device(FieldReader& reader) {
    reader.no_effect({"device_ids"}, "this worker has one device");
    const auto device = reader.text({"device"});
    if (!device) return;
    const std::string name = fold_name(device->value);
    if (name == "cpu" || name == "cpu:0" || name == "cpu0" || name == "auto") return;
    // Hosts number their workers' devices, whatever they are.
    if (name == "gpu0" || name == "0") {
        reader.warn(device->pointer, "means this worker's device, which is the CPU");
        return;
    }
    const bool known = std::any_of(std::begin(kOtherDevicePrefixes), std::end(kOtherDevicePrefixes),
                                   [&](std::string_view prefix) { return name.starts_with(prefix); });
    reader.reject(
        known ? ErrorCode::kUnsupported : ErrorCode::kInvalidRequest,
        "expected 'cpu', the only device of this worker, found '" + device->value + "'; leave the field out",
        device->pointer, {"cpu"});
}

void read_output(FieldReader& reader, GenerationRequest& request) {
    read_format(reader, request);
    if (const auto quality = reader.find({"quality"}))
        reader.warn(quality->pointer, "has no effect: png is lossless");
    if (const auto path = reader.text({"save_path", "output_path"})) request.save_path = path->value;
    if (const auto wanted = reader.flag({"return_image_data", "include_image_data"}))
        request.return_image_data = wanted->value;
}

void read_memory_switches(FieldReader& reader) {
    reader.no_effect({"xformers", "attention_slicing", "vae_slicing", "vae_tiling", "cpu_offload",
                      "sequential_cpu_offload", "compilation"},
                     "the CPU backend does not need it");
}

std::optional<Field<double>> find_strength(FieldReader& reader, Names names) {
    return reader.number(names, 0, 1);
}

void set_strength(const std::optional<Field<double>>& strength, BodyRole role, const FieldReader& reader,
                  GenerationRequest& request) {
    if (role == BodyRole::kLaterStage)
        request.strength = strength ? strength->value : kStageStrength;
    else if (strength && strength->value < 1)
        reader.warn(strength->pointer, "has no effect: there is no initial image");
}

}  // namespace sdxl
