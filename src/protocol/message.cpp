#include "protocol/message.h"

#include <exception>
#include <optional>
#include <utility>

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

std::string text_of(const Json* value) {
    return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

EnvelopeKind envelope_of(const Json& line) {
    if (const Json* type = find_member(line, "message_type"))
        return is_flat_command(text_of(type)) ? EnvelopeKind::kFlat : EnvelopeKind::kMessage;
    if (find_member(line, "action") != nullptr) return EnvelopeKind::kAction;
    if (find_member(line, "method") != nullptr) return EnvelopeKind::kMethod;
    return EnvelopeKind::kMessage;
}

bool is_cancel(const std::string& command) {
    return same_name(command, "cancel") || same_name(command, "cancel_request");
}

// The envelope and the id, as far as the line allows.
ReplyTo reply_to(const Json& line, bool broken) {
    ReplyTo reply;
    if (!broken) reply.envelope = envelope_of(line);
    for (const char* name : {"message_type", "action", "method"})
        if (reply.command.empty()) reply.command = text_of(find_member(line, name));
    find_id(line, {"request_id", "session_id"}, reply);
    for (const char* holder : {"data", "request", "request_data", "parameters", "metadata"}) {
        // In a cancel's data stands the id of another request.
        if (!reply.id.empty() || is_cancel(reply.command)) break;
        const Json* inner = find_member(line, holder);
        if (inner == nullptr || !inner->is_object()) continue;
        find_id(*inner, {"request_id", "session_id"}, reply);
        const Json* metadata = find_member(*inner, "metadata");
        if (reply.id.empty() && metadata != nullptr && metadata->is_object())
            find_id(*metadata, {"request_id"}, reply);
    }
    // The seven members of its answers are fixed.
    if (reply.envelope != EnvelopeKind::kAction) reply.id_name = "request_id";
    return reply;
}

// A host that sent an id waits for it: one that cannot be echoed is an error.
void check_id(FieldReader& top, const ReplyTo& reply) {
    for (const std::string_view name : {"request_id", "session_id"}) {
        const auto id = top.find({name});
        if (!id || !reply.id.empty()) continue;
        top.reject(ErrorCode::kInvalidRequest,
                   "expected an id that is a string of at most 1024 bytes or an integer, found " +
                       describe(*id->value),
                   id->pointer);
    }
}

constexpr std::size_t kLongestName = 256;  // of a command, in bytes

bool has_envelope(const FieldReader& top) {
    return top.has("message_type") || top.has("action") || top.has("method");
}

Command read_envelope(FieldReader& top, Message& message) {
    if (const auto type = top.text({"message_type"}, kLongestName))
        return is_flat_command(type->value) ? read_flat_envelope(top, *type, message)
                                            : read_message_envelope(top, *type, message);
    if (const auto action = top.text({"action"}, kLongestName))
        return read_action_envelope(top, *action, message);
    if (const auto method = top.text({"method"}, kLongestName))
        return read_method_envelope(top, *method, message);
    if (!has_envelope(top))
        top.reject(
            ErrorCode::kInvalidRequest,
            "expected a member 'message_type' or 'action' that says what to do, found neither; send for "
            "example {\"message_type\": \"status_request\", \"request_id\": \"1\"}",
            "");
    return StatusRequest{};
}

// The first error; how many more there are is said, for who mends one after the other.
Error first_error(const std::vector<Finding>& findings) {
    Error error = findings.front().error;
    if (findings.size() > 1)
        error.message +=
            " (and " + std::to_string(findings.size() - 1) + " more; validate_request lists them all)";
    return error;
}

// The command, and what a Failure says added to the findings.
Command read_or_note(FieldReader& top, Message& message) {
    try {
        return read_envelope(top, message);
    } catch (const Failure& failure) {
        top.reject(failure.error().code, failure.error().message, failure.error().pointer);
        return StatusRequest{};
    }
}

}  // namespace

Command read_validate(FieldReader& holder, Message& message) {
    ValidateRequest validated;
    Notes notes;
    Message inner;
    inner.reply = message.reply;
    const auto found = holder.find({"request", "request_data", "parameters"});
    if (!found || !found->value->is_object()) {
        holder.reject(ErrorCode::kInvalidRequest,
                      "expected under 'request' an object to validate, found " +
                          (found ? describe(*found->value) : std::string("none")),
                      found ? found->pointer : holder.pointer());
        return validated;
    }
    FieldReader request(*found->value, found->pointer, notes);
    Command command = StatusRequest{};
    if (has_envelope(request)) {
        request.ignore({"request_id", "session_id"});
        command = read_or_note(request, inner);
    } else {
        command = read_work(request, inner);
    }
    request.finish();
    if (notes.findings.empty())
        if (auto* generation = std::get_if<GenerationRequest>(&command))
            validated.request = std::move(*generation);
    if (auto* batch = std::get_if<BatchRequest>(&command))
        for (const BatchItem& item : batch->items)
            if (!item.request.ok()) notes.findings.push_back({item.request.error(), {}, ""});
    validated.findings = std::move(notes.findings);
    validated.warnings = std::move(notes.warnings);
    return validated;
}

Message parse_message(std::string_view line) {
    Message message;
    try {
        const ParsedLine parsed = parse_strict(line);
        message.reply = reply_to(parsed.value, parsed.error.has_value());
        if (parsed.error) {
            message.command = *parsed.error;
            return message;
        }
        Notes notes;
        FieldReader top(parsed.value, "", notes);
        check_id(top, message.reply);
        Command command = read_or_note(top, message);
        top.finish();
        message.warnings = std::move(notes.warnings);
        if (!notes.findings.empty()) {
            message.command = first_error(notes.findings);
            return message;
        }
        if (const auto* request = std::get_if<GenerationRequest>(&command))
            message.reply.image_data = request->return_image_data;
        message.command = std::move(command);
    } catch (const std::exception&) {
        message.command = current_error();
    }
    return message;
}

}  // namespace sdxl
