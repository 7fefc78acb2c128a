#include "protocol/commands.h"
#include "protocol/envelopes.h"

namespace sdxl {
namespace {

constexpr NamedCommand kCommands[] = {
    {"initialize", read_initialize},
    {"load_model", read_model_load},
    {"unload_model", read_model_unload},
    {"generate_image", read_work},
    {"generate_sdxl_enhanced", read_work},
    {"validate_request", read_validate},
    {"get_status", read_status},
    {"get_model_info", read_model_info},
    {"get_capabilities", read_capabilities},
    {"cleanup_memory", read_cleanup},
    {"cancel", read_cancel},
    {"cancel_request", read_cancel},
    {"stop", read_stop},
};

}  // namespace

Command read_action_envelope(FieldReader& top, const Field<std::string>& name, Message& message) {
    const NamedCommand& command = find_command(kCommands, "action", name);
    top.ignore({"timestamp"});
    read_worker(top, message);
    read_delivery(top, message);
    return command.read(top, message);
}

}  // namespace sdxl
