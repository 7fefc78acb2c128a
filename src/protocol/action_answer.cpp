// Answers of {"action", ...}: success, error and data in camelCase, since their hosts bind names ignoring
// case but not underscores.
#include <string>

#include "core/base64.h"
#include "protocol/answers.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

// What hosts know this worker's device by; there is one until other backends exist.
constexpr const char* kGpuId = "cpu";

}  // namespace

std::string action_line(const ReplyTo& to, OrderedJson data, const Error* error,
                        const std::vector<std::string>& warnings) {
    OrderedJson line;
    line["success"] = error == nullptr;
    line["error"] = error == nullptr ? OrderedJson(nullptr) : OrderedJson(error->message);
    line["data"] = std::move(data);
    line["warnings"] = warnings;
    if (!to.id.empty()) line[to.id_name] = id_of(to);
    if (error != nullptr) {
        line["error_code"] = error_code_name(error->code);
        if (!error->pointer.empty()) line["error_pointer"] = error->pointer;
    }
    return to_line(line);
}

OrderedJson action_generation(const ReplyTo& to, const GenerationResult& result) {
    const bool any = !result.images.empty();
    const GeneratedImage first = any ? result.images.front() : GeneratedImage{};
    OrderedJson paths = OrderedJson::array();
    for (const GeneratedImage& image : result.images) paths.push_back(image.path);
    if (same_name(to.command, "generate_image")) {
        OrderedJson data = {{"outputPath", first.path}, {"generationTimeSeconds", result.total_seconds},
                            {"seed", first.seed},       {"width", first.width},
                            {"height", first.height},   {"gpuId", kGpuId},
                            {"dtype", result.dtype},    {"images", std::move(paths)}};
        if (to.image_data) data["imageData"] = encode_base64(first.encoded);
        return data;
    }
    OrderedJson used;
    for (const Feature& feature : features()) used[feature.action_name] = false;
    used["textToImage"] = true;
    used["karrasSigmas"] = result.karras_sigmas;
    used["philoxRng"] = result.rng == RngKind::kPhilox;
    used["batch"] = result.images.size() > 1;
    OrderedJson data = {{"images", std::move(paths)},
                        {"generationTimeSeconds", result.total_seconds},
                        {"preprocessingTimeSeconds", result.load_seconds + result.encode_seconds},
                        {"postprocessingTimeSeconds", result.decode_seconds},
                        {"memoryUsedMB", static_cast<double>(result.peak_memory_bytes) / kBytesPerMiB},
                        {"seedUsed", first.seed},
                        {"featuresUsed", std::move(used)},
                        {"dtype", result.dtype},
                        {"gpuId", kGpuId}};
    if (to.image_data)
        for (const GeneratedImage& image : result.images)
            data["imageData"].push_back(encode_base64(image.encoded));
    return data;
}

OrderedJson action_model(const ModelInfo& model) {
    return {{"modelId", model.id},
            {"loadTimeSeconds", model.load_seconds},
            {"modelSizeBytes", model.size_bytes},
            {"modelPath", model.path},
            {"modelType", model.kind},
            {"dtype", model.dtype},
            {"gpuId", kGpuId}};
}

OrderedJson action_status(const EngineStatus& status) {
    OrderedJson models = OrderedJson::array();
    for (const ModelInfo& model : status.models) models.push_back(action_model(model));
    return {{"status", status.busy_with.empty() ? "ready" : "busy"},
            {"device", status.device},
            {"deviceName", status.device_name},
            {"backend", status.backend},
            {"memoryTotalBytes", status.memory_total_bytes},
            {"memoryUsedBytes", status.memory_used_bytes},
            {"models", std::move(models)},
            {"busyWith", status.busy_with.empty() ? OrderedJson(nullptr) : OrderedJson(status.busy_with)},
            {"waiting", status.waiting},
            {"gpuId", kGpuId}};
}

OrderedJson action_capabilities(const EngineStatus& status) {
    OrderedJson names;
    for (const Feature& feature : features()) names[feature.action_name] = feature.available;
    return {{"features", std::move(names)},
            {"supportedSchedulers", known_schedulers()},
            {"supportedFormats", OrderedJson::array({"png"})},
            {"maxResolution", kMaxResolution},
            {"maxBatchSize", kMaxBatchSize},
            {"memoryOptimizations", OrderedJson::array()},
            {"postprocessingOptions", OrderedJson::array()},
            {"deviceName", status.device_name},
            {"gpuId", kGpuId}};
}

}  // namespace sdxl
