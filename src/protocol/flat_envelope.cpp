#include <algorithm>
#include <iterator>

#include "protocol/commands.h"
#include "protocol/envelopes.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr NamedCommand kCommands[] = {
    {"generate_sdxl_enhanced", read_work},
    {"load_model", read_model_load},
    {"unload_model", read_model_unload},
    {"get_model_info", read_model_info},
    {"get_status", read_status},
    {"get_capabilities", read_capabilities},
    {"cancel", read_cancel},
    {"cleanup", read_cleanup},
};

}  // namespace

bool is_flat_command(std::string_view name) {
    return std::any_of(std::begin(kCommands), std::end(kCommands),
                       [&](const NamedCommand& command) { return same_name(command.name, name); });
}

Command read_flat_envelope(FieldReader& top, const Field<std::string>& name, Message& message) {
    const NamedCommand& command = find_command(kCommands, "message_type", name);
    top.ignore({"timestamp"});
    read_worker(top, message);
    read_delivery(top, message);
    return command.read(top, message);
}

}  // namespace sdxl
