#include "protocol/message.h"

#include <exception>
#include <optional>

#include "protocol/commands.h"
#include "protocol/envelopes.h"
#include "protocol/field_reader.h"
#include "protocol/key_names.h"
#include "protocol/strict_json.h"

namespace sdxl {
namespace {

const Json* find_member(const Json& object, std::string_view name) {
    for (const auto& [key, value] : object.items())
        if (same_name(key, name)) return &value;
    return nullptr;
}

// The envelope and the id, as far as the line allows.
ReplyTo reply_to(const Json& line, bool broken) {
    ReplyTo reply;
    const Json* type = find_member(line, "message_type");
    const Json* action = find_member(line, "action");
    if (!broken && type == nullptr && action != nullptr) reply.envelope = EnvelopeKind::kAction;
    const Json* command = type != nullptr ? type : action;
    if (command != nullptr && command->is_string()) reply.command = command->get<std::string>();
    find_id(line, {"request_id", "session_id"}, reply);
    for (const char* holder : {"data", "request", "request_data", "parameters", "metadata"}) {
        if (!reply.id.empty()) break;
        const Json* inner = find_member(line, holder);
        if (inner == nullptr || !inner->is_object()) continue;
        find_id(*inner, {"request_id", "session_id"}, reply);
        const Json* metadata = find_member(*inner, "metadata");
        if (reply.id.empty() && metadata != nullptr && metadata->is_object())
            find_id(*metadata, {"request_id"}, reply);
    }
    // Its seven members are fixed.
    if (reply.envelope == EnvelopeKind::kMessage) reply.id_name = "request_id";
    return reply;
}

// A host that sent an id waits for it: one that cannot be echoed is an error.
void check_id(FieldReader& top, const ReplyTo& reply) {
    for (const std::string_view name : {"request_id", "session_id"}) {
        const auto id = top.find({name});
        if (!id || !reply.id.empty()) continue;
        fail(ErrorCode::kInvalidRequest,
             "expected an id that is a string of at most 1024 bytes or an integer, found " +
                 describe(*id->value),
             id->pointer);
    }
}

[[noreturn]] void refuse_envelope(FieldReader& top) {
    const auto method = top.find({"method"});
    if (method && top.has("worker_type"))
        fail(ErrorCode::kUnsupported,
             "requests of the form {worker_type, method, parameters} are not available in this worker yet; "
             "send "
             "{message_type: inference_request, request_id, data}",
             method->pointer);
    fail(ErrorCode::kInvalidRequest,
         "expected a member 'message_type' or 'action' that says what to do, found neither; send for example "
         "{\"message_type\": \"status_request\", \"request_id\": \"1\"}",
         "");
}

Command read_envelope(FieldReader& top, Message& message) {
    check_id(top, message.reply);
    const auto type = top.text({"message_type"}, 256);
    if (type) return read_message_envelope(top, *type, message);
    const auto action = top.text({"action"}, 256);
    if (action) return read_action_envelope(top, *action, message);
    refuse_envelope(top);
}

}  // namespace

Message parse_message(std::string_view line) {
    Message message;
    try {
        const ParsedLine parsed = parse_strict(line);
        message.reply = reply_to(parsed.value, parsed.error.has_value());
        if (parsed.error) {
            message.command = *parsed.error;
            return message;
        }
        FieldReader top(parsed.value, "", message.warnings);
        message.command = read_envelope(top, message);
        if (const auto* request = std::get_if<GenerationRequest>(&*message.command))
            message.reply.image_data = request->return_image_data;
        top.finish();
    } catch (const std::exception&) {
        message.command = current_error();
    }
    return message;
}

}  // namespace sdxl
