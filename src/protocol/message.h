// What a host's line means, whatever its envelope: the typed side of the protocol. Nothing behind this sees
// JSON.
//
// parse_message() turns a line into a Message, or into the error that answers it; the answer_*() functions
// turn what came of it into the one line that the host reads, shaped for the envelope it used. All are pure
// functions: any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"
#include "engine/engine.h"
#include "request/generation.h"

namespace sdxl {

enum class EnvelopeKind {
    kMessage,  // {"message_type", "request_id", "data"}; also what broken lines are answered in
    kAction,   // {"action", ...}
};

// How to answer: who asked, in which envelope, for what.
struct ReplyTo {
    EnvelopeKind envelope = EnvelopeKind::kMessage;
    std::string id;                      // request_id or session_id, "" if none was sent
    bool id_is_number = false;           // it was sent as one, and is answered as one
    std::string id_name = "request_id";  // the member to answer it under
    std::string command;                 // message_type or action as sent, e.g. "generate_image"
    bool image_data = false;             // the answer of a generation carries the pictures as base64
};

struct StatusRequest {};
struct CapabilitiesRequest {};
struct InitializeRequest {
    int device_index = 0;
};
struct StopRequest {};

using Command = std::variant<GenerationRequest, ModelLoadRequest, StatusRequest, CapabilitiesRequest,
                             InitializeRequest, StopRequest>;

enum class Priority { kLow, kNormal, kHigh, kCritical };

struct Message {
    ReplyTo reply;
    Result<Command> command = Error{};
    std::vector<std::string> warnings;  // about fields that nobody knows
    std::string worker;                 // the worker that is asked, "" if none was named
    double timeout_seconds = 300;
    Priority priority =
        Priority::kNormal;  // checked, and warned about: the engine serves in order of arrival
};

// REQUIRES: nothing. Any bytes give a Message; what cannot be understood has an error for a command.
Message parse_message(std::string_view line);

// Seconds since the line was received, for `execution_time`.
std::string answer_error(const ReplyTo& to, const Error& error, const std::vector<std::string>& warnings,
                         double seconds);
std::string answer_generation(const ReplyTo& to, const GenerationResult& result,
                              const std::vector<std::string>& warnings, double seconds);
std::string answer_model(const ReplyTo& to, const ModelInfo& model, const std::vector<std::string>& warnings,
                         double seconds);
std::string answer_status(const ReplyTo& to, const EngineStatus& status,
                          const std::vector<std::string>& warnings, double seconds);
std::string answer_capabilities(const ReplyTo& to, const EngineStatus& status,
                                const std::vector<std::string>& warnings, double seconds);
// For commands that only succeed: initialize, stop.
std::string answer_done(const ReplyTo& to, const std::vector<std::string>& warnings, double seconds);

}  // namespace sdxl
