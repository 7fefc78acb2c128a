#include <algorithm>
#include <iterator>

#include "protocol/commands.h"
#include "protocol/envelopes.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::string_view kServed[] = {
    "initialize", "load_model", "generate_image", "generate_sdxl_enhanced", "get_capabilities",
    "get_status", "stop"};
constexpr std::string_view kKnown[] = {"unload_model", "validate_request", "get_model_info",
                                       "cleanup_memory"};

Command read_command(FieldReader& top, std::string_view action, Message& message) {
    if (same_name(action, "initialize")) {
        const auto index = top.integer({"device_index", "device_id"}, {0, 1024, 1});
        return InitializeRequest{index ? static_cast<int>(index->value) : 0};
    }
    if (same_name(action, "load_model")) {
        if (!top.has_object("parameters")) return read_model_load(top);
        FieldReader parameters = top.object({"parameters"});
        const ModelLoadRequest request = read_model_load(parameters);
        parameters.finish();
        return request;
    }
    if (same_name(action, "get_capabilities")) return CapabilitiesRequest{};
    if (same_name(action, "get_status")) return StatusRequest{};
    if (same_name(action, "stop")) return StopRequest{};
    return read_generation(top, message);
}

}  // namespace

Command read_action_envelope(FieldReader& top, const Field<std::string>& name, Message& message) {
    const auto* action = std::find_if(std::begin(kServed), std::end(kServed),
                                      [&](std::string_view other) { return same_name(other, name.value); });
    if (action == std::end(kServed)) refuse_command("action", name.value, name.pointer, kServed, kKnown);
    top.ignore({"timestamp"});
    top.ignore({"worker_type"});
    read_delivery(top, message);
    return read_command(top, *action, message);
}

}  // namespace sdxl
