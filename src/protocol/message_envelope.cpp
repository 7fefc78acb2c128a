#include <algorithm>
#include <iterator>

#include "protocol/commands.h"
#include "protocol/envelopes.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::string_view kServed[] = {"inference_request", "model_load_request", "status_request",
                                        "capabilities_request"};
// The second row belongs to the envelope that keeps its body at the top level.
constexpr std::string_view kKnown[] = {
    "model_unload_request",   "validate_request", "cancel_request", "shutdown_request",
    "generate_sdxl_enhanced", "load_model",       "get_status",     "cleanup"};
constexpr std::string_view kWorkers[] = {"pipeline_manager", "sdxl_worker", "enhanced_sdxl_worker",
                                         "model_loader"};
constexpr std::string_view kOtherKinds[] = {"multi_stage", "batch"};

void read_worker(FieldReader& data, Message& message) {
    const auto worker = data.text({"worker_type"});
    if (!worker) return;
    const auto* known = std::find_if(std::begin(kWorkers), std::end(kWorkers),
                                     [&](std::string_view name) { return same_name(name, worker->value); });
    if (known == std::end(kWorkers))
        refuse_command("worker_type", worker->value, worker->pointer, kWorkers, {});
    message.worker = *known;
}

void read_kind(FieldReader& data) {
    constexpr std::string_view kKinds[] = {"inference"};
    const auto kind = data.text({"type"});
    if (kind && !same_name(kind->value, kKinds[0]))
        refuse_command("type", kind->value, kind->pointer, kKinds, kOtherKinds);
}

Command read_command(FieldReader& data, const Field<std::string>& name, Message& message) {
    if (same_name(name.value, "inference_request")) {
        read_kind(data);
        return read_generation(data, message);
    }
    if (same_name(name.value, "model_load_request")) return read_model_load(data);
    if (same_name(name.value, "status_request")) return StatusRequest{};
    return CapabilitiesRequest{};
}

}  // namespace

Command read_message_envelope(FieldReader& top, const Field<std::string>& name, Message& message) {
    const bool served = std::any_of(std::begin(kServed), std::end(kServed),
                                    [&](std::string_view other) { return same_name(other, name.value); });
    if (!served) refuse_command("message_type", name.value, name.pointer, kServed, kKnown);
    top.ignore({"timestamp"});
    read_worker(top, message);
    read_delivery(top, message);
    FieldReader data = top.object({"data"});
    data.ignore({"request_id", "session_id"});
    read_worker(data, message);
    read_delivery(data, message);
    Command command = read_command(data, name, message);
    data.finish();
    return command;
}

}  // namespace sdxl
