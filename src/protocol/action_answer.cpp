// Answers of {"action", ...}: success, error and data in camelCase, since their hosts bind names ignoring
// case but not underscores.
#include <string>
#include <utility>

#include "core/base64.h"
#include "protocol/answers.h"
#include "protocol/key_names.h"
#include "request/preprocessors.h"

namespace sdxl {
namespace {

// What was chosen where the request left it open.
OrderedJson settings_of(const GenerationResult& result) {
    return {{"steps", result.steps},
            {"guidanceScale", result.guidance_scale},
            {"scheduler", scheduler_class_name(result.scheduler)},
            {"sigmaSchedule", sigma_schedule_name(result.sigma_schedule)},
            {"timestepSpacing", timestep_spacing_name(result.timestep_spacing)},
            {"predictionType", prediction_type_name(result.prediction_type)},
            {"zeroTerminalSnr", result.zero_terminal_snr},
            {"variant", result.model_variant},
            {"variantReason", or_null(result.variant_reason)}};
}

}  // namespace

std::string action_line(const AnswerContext& context, OrderedJson data, const Error* error,
                        const std::vector<std::string>& warnings) {
    OrderedJson line;
    line["success"] = error == nullptr;
    line["error"] = error == nullptr ? OrderedJson(nullptr) : OrderedJson(error->text());
    line["data"] = std::move(data);
    line["warnings"] = warnings;
    if (!context.to.id.empty()) line[context.to.id_name] = id_of(context.to);
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
        OrderedJson data = {{"outputPath", first.path},
                            {"generationTimeSeconds", result.total_seconds},
                            {"seed", first.seed},
                            {"width", first.width},
                            {"height", first.height},
                            {"gpuId", or_null(result.device)},
                            {"dtype", result.dtype},
                            {"images", std::move(paths)},
                            {"settingsUsed", settings_of(result)}};
        add_additions(data, result, true);
        if (to.image_data) data["imageData"] = encode_base64(first.encoded);
        return data;
    }
    OrderedJson used;
    for (const Feature& feature : features()) used[feature.action_name] = false;
    used["textToImage"] = true;
    used["promptWeighting"] = result.prompt_weighting;
    used["karrasSigmas"] = result.sigma_schedule == SigmaSchedule::kKarras;
    used["philoxRng"] = result.rng == RngKind::kPhilox;
    used["imageToImage"] = result.strength.has_value();
    used["inpainting"] = result.inpainted;
    used["refiner"] = !result.refiner_model.empty();
    used["customVae"] = !result.vae_model.empty();
    used["perturbedAttention"] = result.perturbed_attention;
    used["freeU"] = result.free_u;
    used["lora"] = !result.adapters.empty();
    used["textualInversion"] = !result.embeddings.empty();
    used["controlNet"] = !result.controls.empty();
    used["referenceImages"] = !result.references.empty();
    used["batch"] = result.images.size() > 1;
    OrderedJson data = {{"images", std::move(paths)},
                        {"generationTimeSeconds", result.total_seconds},
                        {"preprocessingTimeSeconds", result.load_seconds + result.encode_seconds},
                        {"postprocessingTimeSeconds", result.decode_seconds},
                        {"memoryUsedMB", static_cast<double>(result.peak_memory_bytes) / kBytesPerMiB},
                        {"seedUsed", first.seed},
                        {"featuresUsed", std::move(used)},
                        {"settingsUsed", settings_of(result)},
                        {"dtype", result.dtype},
                        {"gpuId", or_null(result.device)}};
    add_additions(data, result, true);
    if (to.image_data)
        for (const GeneratedImage& image : result.images)
            data["imageData"].push_back(encode_base64(image.encoded));
    return data;
}

OrderedJson action_batch(const ReplyTo& to, const BatchResult& result) {
    OrderedJson results = OrderedJson::array();
    OrderedJson images = OrderedJson::array();
    int succeeded = 0;
    std::string device;
    double seconds = 0;
    for (std::size_t i = 0; i < result.items.size(); ++i) {
        const auto& [item, warnings] = result.items[i];
        OrderedJson one = {{"index", i},
                           {"success", item.ok()},
                           {"error", nullptr},
                           {"data", nullptr},
                           {"warnings", warnings}};
        if (item.ok()) {
            ++succeeded;
            device = item->device;
            seconds += item->total_seconds;
            one["data"] = action_generation(to, *item);
            for (const GeneratedImage& image : item->images) images.push_back(image.path);
            for (const auto& warning : item->warnings) one["warnings"].push_back(warning);
        } else {
            one["error"] = item.error().text();
            one["error_code"] = error_code_name(item.error().code);
            if (!item.error().pointer.empty()) one["error_pointer"] = item.error().pointer;
        }
        results.push_back(std::move(one));
    }
    return {{"images", std::move(images)},      {"results", std::move(results)},
            {"succeeded", succeeded},           {"failed", static_cast<int>(result.items.size()) - succeeded},
            {"generationTimeSeconds", seconds}, {"gpuId", or_null(device)}};
}

OrderedJson action_stages(const ReplyTo& to, const StagesResult& result) {
    OrderedJson data = action_generation(to, result.stages.back().result);
    double seconds = 0;
    OrderedJson stages = OrderedJson::array();
    for (const StageResult& stage : result.stages) {
        seconds += stage.result.total_seconds;
        stages.push_back({{"name", stage.name},
                          {"steps", stage.result.steps},
                          {"generationTimeSeconds", stage.result.total_seconds}});
        add_additions(stages.back(), stage.result, true);
    }
    data["stages"] = std::move(stages);
    data["generationTimeSeconds"] = seconds;
    return data;
}

OrderedJson action_model(const ModelInfo& model) {
    return {{"modelId", model.id},
            {"loadTimeSeconds", model.load_seconds},
            {"modelSizeBytes", model.size_bytes},
            {"memoryBytes", model.memory_bytes},
            {"parts", parts_of(model)},
            {"modelPath", model.path},
            {"modelType", or_null(model.kind)},
            {"dtype", or_null(model.dtype)},
            {"gpuId", or_null(model.device)}};
}

OrderedJson action_capabilities(const EngineStatus& status) {
    OrderedJson names;
    for (const Feature& feature : features()) names[feature.action_name] = feature.available;
    return {{"features", std::move(names)},
            {"supportedSchedulers", known_schedulers()},
            {"supportedFormats", OrderedJson::array({"png", "jpeg", "webp"})},
            {"maxResolution", kMaxResolution},
            {"maxBatchSize", kMaxBatchSize},
            {"defaultModel", or_null(status.default_model)},
            {"controlPreprocessors", preprocessor_names()},
            {"memoryOptimizations", memory_optimizations()},
            {"postprocessingOptions", OrderedJson::array()},
            {"deviceName", status.device_name},
            {"devices", devices_json(status, true)},
            {"gpuId", or_null(status.device)}};
}

}  // namespace sdxl
