#include "protocol/commands.h"
#include "protocol/envelopes.h"

namespace sdxl {
namespace {

constexpr NamedCommand kCommands[] = {
    {"inference_request", read_work},
    {"model_load_request", read_model_load},
    {"model_unload_request", read_model_unload},
    {"model_info_request", read_model_info},
    {"status_request", read_status},
    {"capabilities_request", read_capabilities},
    {"validate_request", read_validate},
    {"cancel_request", read_cancel},
    {"cleanup_request", read_cleanup},
    {"shutdown_request", read_stop},
};

}  // namespace

Command read_message_envelope(FieldReader& top, const Field<std::string>& name, Message& message) {
    const NamedCommand& command = find_command(kCommands, "message_type", name);
    top.ignore({"timestamp"});
    read_worker(top, message);
    read_delivery(top, message);
    FieldReader data = top.object({"data"});
    read_worker(data, message);
    read_delivery(data, message);
    Command result = command.read(data, message);
    data.ignore({"request_id", "session_id"});
    data.finish();
    return result;
}

}  // namespace sdxl
