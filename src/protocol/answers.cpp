#include "protocol/answers.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

#include "core/base64.h"

namespace sdxl {
namespace {

bool is_action(const AnswerContext& context) {
    return context.to.envelope == EnvelopeKind::kAction;
}

std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string>& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

// A success with data that is shaped for the envelope already.
std::string success(const AnswerContext& context, OrderedJson data,
                    const std::vector<std::string>& more_warnings = {}) {
    const auto warnings = joined(context.warnings, more_warnings);
    return is_action(context) ? action_line(context, std::move(data), nullptr, warnings)
                              : message_line(context, std::move(data), nullptr, warnings);
}

// Names what went wrong in a batch that did not fail as a whole.
std::vector<std::string> failures_of(const BatchResult& result) {
    std::vector<std::string> warnings;
    for (std::size_t i = 0; i < result.items.size(); ++i) {
        const auto& item = result.items[i];
        const std::string name = "item " + std::to_string(i) + ": ";
        for (const auto& warning : item.warnings) warnings.push_back(name + warning);
        if (item.result.ok())
            for (const auto& warning : item.result->warnings) warnings.push_back(name + warning);
        else
            warnings.push_back(name + item.result.error().text());
    }
    return warnings;
}

}  // namespace

std::string to_line(const OrderedJson& answer) {
    return answer.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson id_of(const ReplyTo& to) {
    if (to.id.empty()) return nullptr;
    if (!to.id_is_number) return to.id;
    OrderedJson number = OrderedJson::parse(to.id, nullptr, false);
    return number.is_number() ? number : OrderedJson(to.id);
}

OrderedJson or_null(const std::string& text) {
    return text.empty() ? OrderedJson(nullptr) : OrderedJson(text);
}

std::string timestamp() {
    const auto now =
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const int milliseconds = static_cast<int>(now.time_since_epoch().count() % 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    char text[48];
    std::snprintf(text, sizeof text, "%s.%03dZ", date, milliseconds);
    return text;
}

const std::vector<Feature>& features() {
    static const std::vector<Feature> all = {
        {"text_to_image", "textToImage", true},
        {"karras_sigmas", "karrasSigmas", true},
        {"philox_rng", "philoxRng", true},
        {"batch", "batch", true},
        {"multi_stage", "multiStage", true},
        {"progress", "progress", true},
        {"preview", "preview", true},
        {"priorities", "priorities", true},
        {"cancel", "cancel", true},
        {"validate", "validate", true},
        {"image_to_image", "imageToImage", true},
        {"inpainting", "inpainting", true},
        {"perturbed_attention", "perturbedAttention", true},
        {"free_u", "freeU", true},
        {"lora", "lora", true},
        {"controlnet", "controlNet", true},
        {"refiner", "refiner", true},
        {"custom_vae", "customVae", true},
        {"textual_inversion", "textualInversion", true},
        {"reference_images", "referenceImages", true},
        {"prompt_weighting", "promptWeighting", true},
        {"upscaling", "upscaling", false},
        {"safety_checker", "safetyChecker", false},
    };
    return all;
}

namespace {

OrderedJson loras_json(const std::vector<AdapterReport>& adapters, bool camel_case) {
    const auto name = [&](const char* snake, const char* camel) { return camel_case ? camel : snake; };
    OrderedJson list = OrderedJson::array();
    for (const AdapterReport& adapter : adapters)
        list.push_back({{"name", adapter.name},
                        {"path", adapter.path},
                        {"family", adapter.family},
                        {"layout", adapter.layout},
                        {"weight", adapter.unet_weight},
                        {name("text_encoder_weight", "textEncoderWeight"), adapter.text_encoder_weight},
                        {name("text_encoder_2_weight", "textEncoder2Weight"), adapter.text_encoder_2_weight},
                        {name("tensors_matched", "tensorsMatched"), adapter.matched},
                        {name("tensors_skipped", "tensorsSkipped"), adapter.skipped},
                        {name("tensors_unknown", "tensorsUnknown"), adapter.unknown},
                        {name("unknown_tensors", "unknownTensors"), adapter.unknown_names}});
    return list;
}

OrderedJson controls_json(const std::vector<ControlReport>& controls, bool camel_case) {
    OrderedJson list = OrderedJson::array();
    for (const ControlReport& control : controls) {
        list.push_back({{"type", or_null(control.type)},
                        {"path", control.model},
                        {"kind", control.kind},
                        {"preprocessor", control.preprocessor},
                        {"weight", control.weight}});
        if (!control.picture.empty())
            list.back()[camel_case ? "imageData" : "image_data"] = encode_base64(control.picture);
    }
    return list;
}

OrderedJson references_json(const std::vector<ReferenceReport>& references, bool camel_case) {
    OrderedJson list = OrderedJson::array();
    for (const ReferenceReport& reference : references)
        list.push_back({{"path", reference.model},
                        {camel_case ? "imageEncoder" : "image_encoder", reference.encoder},
                        {"images", reference.pictures},
                        {"weight", reference.weight}});
    return list;
}

// Bytes; by stage what was expected.
OrderedJson memory_json(const MemoryReport& memory, bool camel_case) {
    const auto name = [&](const char* snake, const char* camel) { return camel_case ? camel : snake; };
    OrderedJson stages = OrderedJson::object();
    for (const StageMemory& stage : memory.stages) stages[stage.stage] = stage.bytes;
    return {{name("text_encoders", "textEncoders"), residency_name(memory.text_encoders)},
            {"unet", residency_name(memory.unet)},
            {"vae", residency_name(memory.vae)},
            {name("vae_tiling", "vaeTiling"), memory.vae_tiling},
            {name("vae_slicing", "vaeSlicing"), true},
            {name("attention_slicing", "attentionSlicing"), memory.attention_slicing},
            {name("estimated_by_stage", "estimatedByStage"), std::move(stages)},
            {name("estimated_peak", "estimatedPeak"), memory.estimated_peak_bytes},
            {name("measured_peak", "measuredPeak"), memory.measured_peak_bytes},
            {"limit", memory.limit_bytes}};
}

}  // namespace

OrderedJson parts_of(const ModelInfo& model) {
    OrderedJson parts = OrderedJson::object();
    for (const auto& [part, path] : model.parts) parts[part] = path;
    return parts;
}

OrderedJson memory_optimizations() {
    return OrderedJson::array(
        {"cpu_offload", "sequential_cpu_offload", "attention_slicing", "vae_slicing", "vae_tiling", "int8"});
}

void add_additions(OrderedJson& data, const GenerationResult& result, bool camel_case) {
    const auto name = [&](const char* snake, const char* camel) { return camel_case ? camel : snake; };
    data["memory"] = memory_json(result.memory, camel_case);
    if (!result.adapters.empty()) data["loras"] = loras_json(result.adapters, camel_case);
    if (!result.embeddings.empty()) data[name("textual_inversions", "textualInversions")] = result.embeddings;
    if (!result.controls.empty())
        data[name("controlnets", "controlNets")] = controls_json(result.controls, camel_case);
    if (!result.references.empty())
        data[name("reference_images", "referenceImages")] = references_json(result.references, camel_case);
}

std::string answer_error(const AnswerContext& context, const Error& error) {
    return is_action(context) ? action_line(context, nullptr, &error, context.warnings)
                              : message_line(context, nullptr, &error, context.warnings);
}

std::string answer(const AnswerContext& context, const GenerationResult& result) {
    return success(
        context,
        is_action(context) ? action_generation(context.to, result) : message_generation(context.to, result),
        result.warnings);
}

std::string answer(const AnswerContext& context, const BatchResult& result) {
    OrderedJson data =
        is_action(context) ? action_batch(context.to, result) : message_batch(context.to, result);
    const auto warnings = joined(context.warnings, failures_of(result));
    // A success unless nothing at all came of it.
    Error first;
    bool any = result.items.empty();
    for (std::size_t i = result.items.size(); i-- > 0;) {
        any = any || result.items[i].result.ok();
        if (!result.items[i].result.ok()) first = result.items[i].result.error();
    }
    first.message = "every item failed; the first: " + first.message;
    const Error* error = any ? nullptr : &first;
    return is_action(context) ? action_line(context, std::move(data), error, warnings)
                              : message_line(context, std::move(data), error, warnings);
}

std::string answer(const AnswerContext& context, const StagesResult& result) {
    std::vector<std::string> warnings;
    for (const StageResult& stage : result.stages)
        for (const auto& warning : stage.result.warnings) warnings.push_back(stage.name + ": " + warning);
    return success(
        context, is_action(context) ? action_stages(context.to, result) : message_stages(context.to, result),
        warnings);
}

std::string answer(const AnswerContext& context, const ModelInfo& loaded) {
    return success(context, is_action(context) ? action_model(loaded) : message_model(loaded),
                   loaded.warnings);
}

std::string answer(const AnswerContext& context, const ModelUnloadResult& result) {
    return success(context, {{"unloaded", result.models}}, result.warnings);
}

std::string answer(const AnswerContext& context, const std::vector<ModelInfo>& models) {
    OrderedJson list = OrderedJson::array();
    for (const ModelInfo& model : models) {
        OrderedJson one = is_action(context) ? action_model(model) : message_model(model);
        one["loaded"] = model.loaded;
        one["warnings"] = model.warnings;
        list.push_back(std::move(one));
    }
    return success(context, {{"models", std::move(list)}});
}

std::string answer(const AnswerContext& context, const CleanupResult& result) {
    const bool action = is_action(context);
    return success(context,
                   {{"unloaded", result.unloaded},
                    {action ? "freedBytes" : "freed_bytes", result.freed_bytes},
                    {action ? "memoryUsedBytes" : "memory_used_bytes", result.memory_used_bytes}},
                   result.warnings);
}

std::string answer(const AnswerContext& context, const WorkerStatus& status) {
    return success(context, is_action(context) ? action_status(status) : message_status(status));
}

std::string answer_capabilities(const AnswerContext& context, const EngineStatus& status) {
    return success(context, is_action(context) ? action_capabilities(status) : message_capabilities(status));
}

std::string answer_validation(const AnswerContext& context, const ValidateRequest& validated,
                              const std::vector<Error>& more) {
    std::vector<Finding> findings = validated.findings;
    for (const Error& error : more) findings.push_back({error, {}, ""});
    OrderedJson list = OrderedJson::array();
    for (const Finding& finding : findings)
        list.push_back({{"pointer", finding.error.pointer},
                        {"code", error_code_name(finding.error.code)},
                        {"message", finding.error.message},
                        {"allowed", finding.allowed},
                        {"nearest", or_null(finding.nearest)}});
    OrderedJson summary = nullptr;
    if (validated.request) {
        const GenerationRequest& request = *validated.request;
        const bool of_image = request.size_of_image;  // null: known when that is read, or the model
        summary = {
            {"width", of_image || request.width_of_model ? OrderedJson(nullptr) : OrderedJson(request.width)},
            {"height",
             of_image || request.height_of_model ? OrderedJson(nullptr) : OrderedJson(request.height)},
            {"steps", request.steps ? OrderedJson(*request.steps) : OrderedJson(nullptr)},
            {"seed", request.seed},
            {"batch", request.batch_size},
            {"model", or_null(request.model)}};
    }
    OrderedJson data = {
        {"valid", findings.empty()},
        {"error", findings.empty() ? OrderedJson(nullptr) : OrderedJson(findings[0].error.text())},
        {"warnings", validated.warnings}};
    data[is_action(context) ? "validationDetails" : "validation_details"] = {{"findings", std::move(list)},
                                                                             {"request", std::move(summary)}};
    return success(context, std::move(data));
}

std::string answer_cancelled(const AnswerContext& context, const std::vector<std::string>& ids) {
    OrderedJson list = OrderedJson::array();
    for (const auto& id : ids) list.push_back(or_null(id));
    return success(context, {{"cancelled", std::move(list)}});
}

std::string answer_done(const AnswerContext& context) {
    return success(context, {{"status", "ok"}});
}

}  // namespace sdxl
