// Answers of {"message_type", ...}: seven members that are always there, snake_case.
#include <string>
#include <utility>

#include "core/base64.h"
#include "protocol/answers.h"
#include "request/preprocessors.h"

namespace sdxl {

std::string message_line(const AnswerContext& context, OrderedJson data, const Error* error,
                         const std::vector<std::string>& warnings) {
    OrderedJson line;
    line["request_id"] = id_of(context.to);
    line["success"] = error == nullptr;
    line["data"] = std::move(data);
    line["error"] = error == nullptr ? OrderedJson(nullptr) : OrderedJson(error->text());
    line["warnings"] = warnings;
    line["execution_time"] = context.seconds;
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
        OrderedJson metadata = {{"seed", image.seed},
                                {"steps", result.steps},
                                {"guidance_scale", result.guidance_scale},
                                {"scheduler", scheduler_class_name(result.scheduler)},
                                {"width", image.width},
                                {"height", image.height},
                                {"use_karras_sigmas", result.sigma_schedule == SigmaSchedule::kKarras},
                                {"sigma_schedule", sigma_schedule_name(result.sigma_schedule)},
                                {"timestep_spacing", timestep_spacing_name(result.timestep_spacing)},
                                {"prediction_type", prediction_type_name(result.prediction_type)},
                                {"zero_terminal_snr", result.zero_terminal_snr},
                                {"rng", rng_name(result.rng)},
                                {"model_info",
                                 {{"base_model", result.base_model},
                                  {"refiner_model", or_null(result.refiner_model)},
                                  {"vae_model", or_null(result.vae_model)},
                                  {"variant", result.model_variant},
                                  {"variant_reason", or_null(result.variant_reason)}}}};
        if (!result.refiner_model.empty()) metadata["refiner_steps"] = result.refiner_steps;
        if (result.replayed_steps > 0) metadata["replayed_steps"] = result.replayed_steps;
        if (result.strength) metadata["strength"] = *result.strength;
        images.push_back(
            {{"image_path", or_null(image.path)},
             {"image_data", to.image_data ? OrderedJson(encode_base64(image.encoded)) : OrderedJson(nullptr)},
             {"metadata", std::move(metadata)}});
    }
    OrderedJson data = {
        {"generated_images", std::move(images)},
        {"processing_metrics",
         {{"total_time", result.total_seconds},
          {"inference_time", result.encode_seconds + result.denoise_seconds + result.decode_seconds},
          {"device_memory_used", result.peak_memory_bytes},
          {"device", or_null(result.device)},
          {"device_name", result.device_name},
          {"load_time", result.load_seconds},
          {"encode_time", result.encode_seconds},
          {"denoise_time", result.denoise_seconds},
          {"decode_time", result.decode_seconds},
          {"dtype", result.dtype}}}};
    add_additions(data, result, false);
    if (!result.adapters.empty()) data["processing_metrics"]["adapter_time"] = result.adapter_seconds;
    return data;
}

OrderedJson message_batch(const ReplyTo& to, const BatchResult& result) {
    OrderedJson results = OrderedJson::array();
    OrderedJson images = OrderedJson::array();
    int succeeded = 0;
    double seconds = 0;
    for (std::size_t i = 0; i < result.items.size(); ++i) {
        const auto& [item, warnings] = result.items[i];
        OrderedJson one = {{"index", i},
                           {"success", item.ok()},
                           {"data", nullptr},
                           {"error", nullptr},
                           {"warnings", warnings}};
        if (item.ok()) {
            ++succeeded;
            seconds += item->total_seconds;
            one["data"] = message_generation(to, *item);
            for (const auto& image : one["data"]["generated_images"]) images.push_back(image);
            for (const auto& warning : item->warnings) one["warnings"].push_back(warning);
        } else {
            one["error"] = item.error().text();
            one["error_code"] = error_code_name(item.error().code);
            if (!item.error().pointer.empty()) one["error_pointer"] = item.error().pointer;
        }
        results.push_back(std::move(one));
    }
    return {{"results", std::move(results)},
            {"generated_images", std::move(images)},
            {"succeeded", succeeded},
            {"failed", static_cast<int>(result.items.size()) - succeeded},
            {"processing_metrics", {{"total_time", seconds}}}};
}

OrderedJson message_stages(const ReplyTo& to, const StagesResult& result) {
    OrderedJson data = message_generation(to, result.stages.back().result);
    double seconds = 0;
    OrderedJson stages = OrderedJson::array();
    for (const StageResult& stage : result.stages) {
        seconds += stage.result.total_seconds;
        stages.push_back(
            {{"name", stage.name},
             {"steps", stage.result.steps},
             {"scheduler", scheduler_class_name(stage.result.scheduler)},
             {"guidance_scale", stage.result.guidance_scale},
             {"base_model", stage.result.base_model},
             {"image_path",
              stage.result.images.empty() ? OrderedJson(nullptr) : or_null(stage.result.images.front().path)},
             {"total_time", stage.result.total_seconds}});
        add_additions(stages.back(), stage.result, false);
    }
    data["stages"] = std::move(stages);
    data["processing_metrics"]["total_time"] = seconds;
    return data;
}

OrderedJson message_model(const ModelInfo& model) {
    return {{"model_id", model.id},
            {"model_path", model.path},
            {"model_type", or_null(model.kind)},
            {"dtype", or_null(model.dtype)},
            {"device", or_null(model.device)},
            {"size_bytes", model.size_bytes},
            {"memory_bytes", model.memory_bytes},
            {"parts", parts_of(model)},
            {"load_time", model.load_seconds}};
}

OrderedJson message_capabilities(const EngineStatus& status) {
    OrderedJson names;
    for (const Feature& feature : features()) names[feature.message_name] = feature.available;
    return {{"features", std::move(names)},
            {"supported_schedulers", known_schedulers()},
            {"supported_formats", OrderedJson::array({"png", "jpeg", "webp"})},
            {"max_resolution", kMaxResolution},
            {"max_batch_size", kMaxBatchSize},
            {"default_model", or_null(status.default_model)},
            {"control_preprocessors", preprocessor_names()},
            {"memory_optimizations", memory_optimizations()},
            {"postprocessing_options", OrderedJson::array()},
            {"device", status.device},
            {"device_name", status.device_name},
            {"devices", devices_json(status, false)},
            {"backend", status.backend}};
}

}  // namespace sdxl
