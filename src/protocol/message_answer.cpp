// Answers of {"message_type", ...}: seven members that are always there, snake_case.
#include <string>

#include "core/base64.h"
#include "protocol/answers.h"

namespace sdxl {
namespace {

OrderedJson or_null(const std::string& text) {
    return text.empty() ? OrderedJson(nullptr) : OrderedJson(text);
}

}  // namespace

std::string message_line(const ReplyTo& to, OrderedJson data, const Error* error,
                         const std::vector<std::string>& warnings, double seconds) {
    OrderedJson line;
    line["request_id"] = id_of(to);
    line["success"] = error == nullptr;
    line["data"] = std::move(data);
    line["error"] = error == nullptr ? OrderedJson(nullptr) : OrderedJson(error->message);
    line["warnings"] = warnings;
    line["execution_time"] = seconds;
    line["timestamp"] = timestamp();
    if (error != nullptr) {
        line["error_code"] = error_code_name(error->code);
        if (!error->pointer.empty()) line["error_pointer"] = error->pointer;
    }
    return to_line(line);
}

OrderedJson message_generation(const ReplyTo& to, const GenerationResult& result) {
    OrderedJson images = OrderedJson::array();
    for (const GeneratedImage& image : result.images) {
        OrderedJson metadata = {
            {"seed", image.seed},
            {"steps", result.steps},
            {"guidance_scale", result.guidance_scale},
            {"scheduler", scheduler_class_name(result.scheduler)},
            {"width", image.width},
            {"height", image.height},
            {"use_karras_sigmas", result.karras_sigmas},
            {"timestep_spacing", timestep_spacing_name(result.timestep_spacing)},
            {"rng", rng_name(result.rng)},
            {"model_info",
             {{"base_model", result.base_model}, {"refiner_model", nullptr}, {"vae_model", nullptr}}}};
        images.push_back(
            {{"image_path", or_null(image.path)},
             {"image_data", to.image_data ? OrderedJson(encode_base64(image.encoded)) : OrderedJson(nullptr)},
             {"metadata", std::move(metadata)}});
    }
    return {{"generated_images", std::move(images)},
            {"processing_metrics",
             {{"total_time", result.total_seconds},
              {"inference_time", result.encode_seconds + result.denoise_seconds + result.decode_seconds},
              {"device_memory_used", result.peak_memory_bytes},
              {"device_name", result.device_name},
              {"load_time", result.load_seconds},
              {"encode_time", result.encode_seconds},
              {"denoise_time", result.denoise_seconds},
              {"decode_time", result.decode_seconds},
              {"dtype", result.dtype}}}};
}

OrderedJson message_model(const ModelInfo& model) {
    return {{"model_id", model.id}, {"model_path", model.path},       {"model_type", model.kind},
            {"dtype", model.dtype}, {"size_bytes", model.size_bytes}, {"load_time", model.load_seconds}};
}

OrderedJson message_status(const EngineStatus& status) {
    OrderedJson models = OrderedJson::array();
    for (const ModelInfo& model : status.models) models.push_back(message_model(model));
    return {
        {"status", status.busy_with.empty() ? "ready" : "busy"},
        {"device", status.device},
        {"device_name", status.device_name},
        {"backend", status.backend},
        {"memory", {{"total_bytes", status.memory_total_bytes}, {"used_bytes", status.memory_used_bytes}}},
        {"models", std::move(models)},
        {"busy_with", or_null(status.busy_with)},
        {"waiting", status.waiting}};
}

OrderedJson message_capabilities(const EngineStatus& status) {
    OrderedJson names;
    for (const Feature& feature : features()) names[feature.message_name] = feature.available;
    return {{"features", std::move(names)},
            {"supported_schedulers", known_schedulers()},
            {"supported_formats", OrderedJson::array({"png"})},
            {"max_resolution", kMaxResolution},
            {"max_batch_size", kMaxBatchSize},
            {"memory_optimizations", OrderedJson::array()},
            {"postprocessing_options", OrderedJson::array()},
            {"device", status.device},
            {"device_name", status.device_name},
            {"backend", status.backend}};
}

}  // namespace sdxl
