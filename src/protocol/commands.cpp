#include "protocol/commands.h"

#include <algorithm>
#include <iterator>

namespace sdxl {
namespace {

template <class T>
Command nothing_to_read(const CommandInput&, Report&) {
    return T{};
}

// The table of commands: a new one is its reader, its schema and a row here.
constexpr CommandRow kCommands[] = {
    {"inference", "inference", true, read_inference},
    {"model_load", "model_load", false, read_model_load},
    {"model_unload", "model_unload", false, read_model_unload},
    {"model_info", "model_info", false, read_model_info},
    {"status", "", false, nothing_to_read<StatusRequest>},
    {"capabilities", "", false, nothing_to_read<CapabilitiesRequest>},
    {"initialize", "initialize", false, read_initialize},
    {"cleanup", "cleanup", false, read_cleanup},
    {"cancel", "cancel", false, read_cancel},
    {"validate", "validate", false, nothing_to_read<ValidateRequest>},
    {"stop", "", false, nothing_to_read<StopRequest>},
};

}  // namespace

const CommandRow& command_row(std::string_view name) {
    const auto* row = std::find_if(std::begin(kCommands), std::end(kCommands),
                                   [&](const CommandRow& known) { return known.name == name; });
    if (row == std::end(kCommands))
        fail(ErrorCode::kInternal, "no reader for the command '" + std::string(name) + "'");
    return *row;
}

std::vector<std::string> command_names() {
    std::vector<std::string> names;
    for (const CommandRow& row : kCommands) names.emplace_back(row.name);
    return names;
}

const Json* find_list(const CommandInput& input, std::string_view name, std::string& pointer) {
    for (auto level = input.levels.rbegin(); level != input.levels.rend(); ++level) {
        const auto list = level->members().items(name);
        if (!list) continue;
        pointer = list->pointer;
        return &level->sent.object->at(Json::json_pointer(pointer.substr(level->sent.pointer.size())));
    }
    return nullptr;
}

}  // namespace sdxl
