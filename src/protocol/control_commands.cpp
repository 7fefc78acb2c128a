// Commands about the worker itself and about other requests.
#include "protocol/commands.h"

namespace sdxl {
namespace {

// The id of the message itself does not say which request to end, but for the hosts of envelopes 2 and 3,
// which have one member for both.
std::optional<Field<std::string>> target_by_request_id(const CommandInput& input) {
    const Level& inner = input.levels.back();
    const bool inside = !inner.sent.pointer.empty() && input.levels.size() > 1;
    if (inside || input.envelope == EnvelopeKind::kMessage) {
        // Envelope 1 without data has only its own.
        if (input.envelope == EnvelopeKind::kMessage && find_member(inner.sent, "message_type") != nullptr)
            return std::nullopt;
        if (auto id = inner.members().id("request_id")) return id;
    }
    if (input.envelope != EnvelopeKind::kAction && input.envelope != EnvelopeKind::kFlat) return std::nullopt;
    const Members top = input.levels.front().members();
    const auto id = top.id("request_id");
    return id ? id : top.id("session_id");
}

}  // namespace

Command read_cancel(const CommandInput& input, Report& report) {
    CancelRequest request;
    const auto all = innermost(input, report, [](const Members& members) { return members.flag("all"); });
    auto target = innermost(input, report, [](const Members& members) { return members.id("target"); });
    if (all && all->value) {
        request.all = true;
        request.pointer = all->pointer;
        if (target) report.warn(target->pointer, "is ignored, because " + all->pointer + " is set");
        return request;
    }
    if (!target) target = target_by_request_id(input);
    if (!target) {
        report.missing(
            "expected the id of the request to end, found none; send it as 'target', or send 'all': true",
            input.levels.back().sent.pointer);
        return request;
    }
    request.target = target->value;
    request.pointer = target->pointer;
    return request;
}

Command read_initialize(const CommandInput& input, Report& report) {
    InitializeRequest request;
    const auto index =
        innermost(input, report, [](const Members& members) { return members.integer("device_index"); });
    if (index) {
        request.device = {"gpu:" + std::to_string(index->value), index->pointer};
    }
    const auto device =
        innermost(input, report, [](const Members& members) { return members.text("device"); });
    if (device && index) report.warn(index->pointer, "is ignored, because 'device' is set");
    if (device) request.device = read_device(*device, report);
    return request;
}

Command read_cleanup(const CommandInput& input, Report& report) {
    const auto unload =
        innermost(input, report, [](const Members& members) { return members.flag("unload_models"); });
    return CleanupRequest{unload && unload->value};
}

}  // namespace sdxl
