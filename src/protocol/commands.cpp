#include "protocol/commands.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr double kLongestTimeout = 86400;  // seconds
constexpr std::size_t kLongestId = 1024;   // bytes
constexpr IntegerRange kEveryRange{1, 500, 1};
constexpr std::string_view kWorkers[] = {"pipeline_manager", "sdxl_worker", "enhanced_sdxl_worker",
                                         "model_loader"};
constexpr std::string_view kModelTypes[] = {
    "sdxl",      "sdxl_base",           "sdxl-base",           "base",  "checkpoint",
    "diffusers", "stable_diffusion_xl", "stable-diffusion-xl", "model", "pipeline",
    "auto"};
constexpr std::string_view kOtherModelTypes[] = {
    "refiner",      "sdxl_refiner",      "sdxl-refiner", "vae",      "lora",
    "controlnet",   "textual_inversion", "embedding",    "upscaler", "unet",
    "text_encoder", "tokenizer",         "sd15",         "sd21",     "flux"};
const Names kModelNames = {"model_path", "model_name", "model_base", "base_model",
                               "model",      "name",       "path"};

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

void check_model_type(FieldReader& reader) {
    const auto type = reader.text({"model_type"});
    if (!type || is_one_of(type->value, kModelTypes)) return;
    if (is_one_of(type->value, kOtherModelTypes))
        reader.reject(ErrorCode::kUnsupported,
                      "expected the model type 'sdxl', found '" + type->value +
                          "', which is not available in this worker yet",
                      type->pointer, {"sdxl"});
    else
        reader.warn(type->pointer,
                    "is not a known model type and is ignored; the model's own metadata decides");
}

void read_progress(FieldReader& reader, Message& message) {
    if (!reader.has_object("progress")) {
        if (const auto wanted = reader.flag({"progress"})) message.progress = {wanted->value ? 1 : 0, false};
        return;
    }
    FieldReader progress = reader.object({"progress"});
    message.progress.every = 1;
    if (const auto every = progress.integer({"every"}, kEveryRange))
        message.progress.every = static_cast<int>(every->value);
    if (const auto preview = progress.flag({"preview"})) message.progress.preview = preview->value;
    progress.finish();
}

// The members of a command about models may stand under `parameters` too.
template <class Read>
Command from_parameters(FieldReader& holder, Read read) {
    if (!holder.has_object("parameters")) return read(holder);
    FieldReader parameters = holder.object({"parameters"});
    Command command = read(parameters);
    parameters.finish();
    return command;
}

}  // namespace

const NamedCommand& find_command(std::span<const NamedCommand> commands, std::string_view member,
                                 const Field<std::string>& name) {
    std::vector<std::string_view> names;
    for (const NamedCommand& command : commands) {
        if (same_name(command.name, name.value)) return command;
        names.push_back(command.name);
    }
    const std::string_view meant = nearest_name(name.value, names);
    fail(ErrorCode::kInvalidRequest,
         std::string(member) + " '" + name.value + "' is not known; expected one of " + list_names(names) +
             (meant.empty() ? "" : "; did you mean '" + std::string(meant) + "'?"),
         name.pointer);
}

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
        const auto parsed = parse_priority(priority->value);
        if (!parsed)
            reader.reject(ErrorCode::kInvalidRequest,
                          "expected the priority 'low', 'normal', 'high' or 'critical', found '" +
                              priority->value + "'",
                          priority->pointer, {"low", "normal", "high", "critical"});
        message.priority = parsed.value_or(message.priority);
    }
    if (const auto timeout = reader.number({"timeout", "timeout_seconds"}, 0, kLongestTimeout)) {
        if (timeout->value <= 0)
            reader.reject(
                ErrorCode::kInvalidRequest,
                "expected a timeout of more than 0 and at most 86400 seconds, found 0; leave it out for 300",
                timeout->pointer);
        else
            message.timeout_seconds = timeout->value;
    }
    read_progress(reader, message);
}

void read_worker(FieldReader& reader, Message& message) {
    const auto worker = reader.text({"worker_type"});
    if (!worker) return;
    const auto* known = std::find_if(std::begin(kWorkers), std::end(kWorkers),
                                     [&](std::string_view name) { return same_name(name, worker->value); });
    if (known != std::end(kWorkers)) {
        message.worker = *known;
        return;
    }
    const std::string_view meant = nearest_name(worker->value, kWorkers);
    reader.reject(ErrorCode::kInvalidRequest,
                  "worker_type '" + worker->value + "' is not known; expected one of " +
                      list_names(kWorkers) +
                      (meant.empty() ? "" : "; did you mean '" + std::string(meant) + "'?"),
                  worker->pointer, {std::begin(kWorkers), std::end(kWorkers)}, std::string(meant));
}

Command read_status(FieldReader&, Message&) {
    return StatusRequest{};
}

Command read_capabilities(FieldReader&, Message&) {
    return CapabilitiesRequest{};
}

Command read_initialize(FieldReader& holder, Message&) {
    const auto index = holder.integer({"device_index", "device_id"}, {0, 1024, 1});
    return index ? InitializeRequest{static_cast<int>(index->value), index->pointer} : InitializeRequest{};
}

Command read_stop(FieldReader&, Message&) {
    return StopRequest{};
}

Command read_cancel(FieldReader& holder, Message& message) {
    CancelRequest cancel;
    if (const auto all = holder.flag({"all"})) cancel.all = all->value;
    ReplyTo target;
    for (const std::string_view name :
         {"target", "target_id", "target_request_id", "cancel_id", "request_id", "session_id"}) {
        const auto found = holder.find({name});
        if (!found || !cancel.target.empty()) continue;
        if (!take_id(*found->value, target))
            holder.reject(ErrorCode::kInvalidRequest,
                          "expected the id of a request, found " + describe(*found->value), found->pointer);
        cancel.target = target.id;
        cancel.pointer = found->pointer;
    }
    // Where only the message itself has an id, that is the one.
    if (cancel.target.empty() && message.reply.envelope != EnvelopeKind::kMessage)
        cancel.target = message.reply.id;
    if (cancel.target.empty() && !cancel.all)
        holder.reject(
            ErrorCode::kInvalidRequest,
            "expected the id of the request to cancel, found none; say in 'request_id' which one, or "
            "'all': true",
            holder.pointer());
    return cancel;
}

Command read_cleanup(FieldReader& holder, Message&) {
    const auto unload = holder.flag({"unload_models"});
    return CleanupRequest{unload && unload->value};
}

Command read_model_load(FieldReader& holder, Message&) {
    return from_parameters(holder, [](FieldReader& reader) -> Command {
        ModelLoadRequest request;
        // model_id names the model where nothing else does; beside a path it is the host's own name for it.
        const auto id = reader.text({"model_id"});
        const auto model = reader.text(kModelNames);
        if (!model && !id)
            reader.reject(ErrorCode::kInvalidRequest,
                          "expected a model, found none; say in 'model_path' which one: a path, a name under "
                          "the models folder, or a hub id",
                          reader.pointer());
        if (model || id) request.model = model ? model->value : id->value;
        if (id) request.id = id->value;
        check_model_type(reader);
        if (const auto precision = reader.text({"dtype", "precision"})) {
            const auto parsed = parse_precision(precision->value);
            if (!parsed)
                reader.reject(
                    ErrorCode::kInvalidRequest,
                    "expected one of 'auto', 'fp32', 'bf16' and 'fp16', found '" + precision->value + "'",
                    precision->pointer, {"auto", "fp32", "bf16", "fp16"});
            request.precision = parsed.value_or(request.precision);
        }
        reader.refuse({"model_refiner", "refiner_model"}, "a refiner");
        reader.refuse({"model_vae", "vae_model"}, "a separate VAE");
        return request;
    });
}

Command read_model_unload(FieldReader& holder, Message&) {
    return from_parameters(holder, [](FieldReader& reader) -> Command {
        const auto id = reader.text({"model_id"});
        const auto model = reader.text(kModelNames);
        check_model_type(reader);
        return ModelUnloadRequest{id ? id->value : model ? model->value : ""};
    });
}

Command read_model_info(FieldReader& holder, Message&) {
    return from_parameters(holder, [](FieldReader& reader) -> Command {
        const auto id = reader.text({"model_id"});
        const auto model = reader.text(kModelNames);
        return ModelInfoRequest{model ? model->value : id ? id->value : ""};
    });
}

}  // namespace sdxl
