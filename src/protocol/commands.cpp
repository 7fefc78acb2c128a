#include "protocol/commands.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "protocol/bodies.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr double kLongestTimeout = 86400;  // seconds
constexpr std::size_t kLongestId = 1024;   // bytes
constexpr std::string_view kModelTypes[] = {
    "sdxl",      "sdxl_base",           "sdxl-base",           "base",  "checkpoint",
    "diffusers", "stable_diffusion_xl", "stable-diffusion-xl", "model", "pipeline",
    "auto"};
constexpr std::string_view kOtherModelTypes[] = {
    "refiner",      "sdxl_refiner",      "sdxl-refiner", "vae",      "lora",
    "controlnet",   "textual_inversion", "embedding",    "upscaler", "unet",
    "text_encoder", "tokenizer",         "sd15",         "sd21",     "flux"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
    return std::any_of(std::begin(names), std::end(names),
                       [&](std::string_view n) { return same_name(n, name); });
}

bool take_id(const Json& value, ReplyTo& reply) {
    if (value.is_string() && !is_unset(value) && value.get_ref<const std::string&>().size() <= kLongestId) {
        reply.id = value.get<std::string>();
        reply.id_is_number = false;
        return true;
    }
    if (!value.is_number_integer()) return false;
    reply.id = value.dump();
    reply.id_is_number = true;
    return true;
}

Priority parse_priority(const Field<std::string>& field) {
    constexpr std::pair<std::string_view, Priority> kPriorities[] = {{"low", Priority::kLow},
                                                                     {"normal", Priority::kNormal},
                                                                     {"high", Priority::kHigh},
                                                                     {"critical", Priority::kCritical}};
    for (const auto& [name, priority] : kPriorities)
        if (same_name(name, field.value)) return priority;
    fail(ErrorCode::kInvalidRequest,
         "expected the priority 'low', 'normal', 'high' or 'critical', found '" + field.value + "'",
         field.pointer);
}

void check_model_type(FieldReader& reader) {
    const auto type = reader.text({"model_type"});
    if (!type || is_one_of(type->value, kModelTypes)) return;
    if (is_one_of(type->value, kOtherModelTypes))
        fail(ErrorCode::kUnsupported,
             "expected the model type 'sdxl', found '" + type->value +
                 "', which is not available in this worker yet",
             type->pointer);
    reader.warn(type->pointer, "is not a known model type and is ignored; the model's own metadata decides");
}

GenerationRequest generation_in(FieldReader& body, Message& message) {
    FieldReader metadata = body.object({"metadata"});
    read_delivery(metadata, message);
    metadata.ignore({"request_id"});
    metadata.no_effect({"tags"}, "this worker keeps no tags");
    metadata.finish();
    GenerationRequest request = read_body(body);
    request.id = message.reply.id;
    return request;
}

}  // namespace

void find_id(const Json& object, Names names, ReplyTo& reply) {
    for (const std::string_view name : names) {
        for (const auto& [key, value] : object.items()) {
            if (!same_name(key, name) || !take_id(value, reply)) continue;
            reply.id_name = name;
            return;
        }
    }
}

void read_delivery(FieldReader& reader, Message& message) {
    if (const auto priority = reader.text({"priority"})) {
        message.priority = parse_priority(*priority);
        if (message.priority != Priority::kNormal)
            reader.warn(priority->pointer, "has no effect yet: requests are served first come, first served");
    }
    if (const auto timeout = reader.number({"timeout", "timeout_seconds"}, 0, kLongestTimeout)) {
        if (timeout->value <= 0)
            fail(ErrorCode::kInvalidRequest,
                 "expected a timeout of more than 0 and at most 86400 seconds, found 0; leave it out for 300",
                 timeout->pointer);
        message.timeout_seconds = timeout->value;
    }
}

ModelLoadRequest read_model_load(FieldReader& reader) {
    ModelLoadRequest request;
    // model_id names the model where nothing else does; beside a path it is the host's own name for it.
    const auto id = reader.text({"model_id"});
    const auto model =
        reader.text({"model_path", "model_name", "model_base", "base_model", "model", "name", "path"});
    if (!model && !id)
        fail(ErrorCode::kInvalidRequest,
             "expected a model, found none; say in 'model_path' which one: a path, a name under the models "
             "folder, or "
             "a hub id",
             reader.pointer());
    request.model = model ? model->value : id->value;
    if (id) request.id = id->value;
    check_model_type(reader);
    if (const auto precision = reader.text({"dtype", "precision"})) {
        const auto parsed = parse_precision(precision->value);
        if (!parsed)
            fail(ErrorCode::kInvalidRequest,
                 "expected one of 'auto', 'fp32', 'bf16' and 'fp16', found '" + precision->value + "'",
                 precision->pointer);
        request.precision = *parsed;
    }
    reader.refuse({"model_refiner", "refiner_model"}, "a refiner");
    reader.refuse({"model_vae", "vae_model"}, "a separate VAE");
    return request;
}

GenerationRequest read_generation(FieldReader& holder, Message& message) {
    for (const std::string_view name : {"request", "request_data", "parameters"}) {
        if (!holder.has_object(name)) continue;
        FieldReader body = holder.object({name});
        body.ignore({"request_id", "session_id"});
        body.ignore({"worker_type"});
        read_delivery(body, message);
        GenerationRequest request = generation_in(body, message);
        body.finish();
        return request;
    }
    return generation_in(holder, message);
}

void refuse_command(std::string_view member, const std::string& name, const std::string& pointer,
                    std::span<const std::string_view> served, std::span<const std::string_view> known) {
    const std::string start = std::string(member) + " '" + name + "' is ";
    const std::string expected = "; expected one of " + list_names(served);
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](std::string_view other) { return same_name(other, name); });
    if (is_known)
        fail(ErrorCode::kUnsupported, start + "not available in this worker yet" + expected, pointer);
    std::vector<std::string_view> all(served.begin(), served.end());
    all.insert(all.end(), known.begin(), known.end());
    const std::string_view meant = nearest_name(name, all);
    fail(ErrorCode::kInvalidRequest,
         start + "not known" + expected +
             (meant.empty() ? "" : "; did you mean '" + std::string(meant) + "'?"),
         pointer);
}

}  // namespace sdxl
