// What a host's line means, whatever its envelope: the typed side of the protocol. Nothing behind this sees
// JSON.
//
// parse_message() turns a line into a Message, or into the error that answers it; the answer_*() functions
// turn what came of it into the one line that the host reads, shaped for the envelope it used. All are pure
// functions: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"
#include "request/commands.h"
#include "request/generation.h"
#include "request/status.h"

namespace sdxl {

enum class EnvelopeKind {
    kMessage,  // 1: {"message_type", "request_id", "data"}; also what broken lines are answered in
    kAction,   // 2: {"action", ...}
    kFlat,     // 3: {"message_type", "session_id", ...body}; answered as kMessage
    kMethod,   // 4: {"worker_type", "method", "parameters"}; answered as kMessage
};

// How to answer: who asked, in which envelope, for what.
struct ReplyTo {
    EnvelopeKind envelope = EnvelopeKind::kMessage;
    std::string id;                      // request_id or session_id, "" if none was sent
    bool id_is_number = false;           // it was sent as one, and is answered as one
    std::string id_name = "request_id";  // the member to answer it under
    std::string command;                 // message_type, action or method as sent, e.g. "generate_image"
    bool image_data = false;             // the answer of a generation carries the pictures as base64
};

struct StatusRequest {};
struct CapabilitiesRequest {};
struct InitializeRequest {
    DeviceChoice device;  // that later requests run on which name none
};
struct StopRequest {};

struct CancelRequest {
    std::string target;   // id of the request to end
    bool all = false;     // every request that is not answered yet
    std::string pointer;  // to the target as it was sent
};

// One thing that is wrong with a request.
struct Finding {
    Error error;
    std::vector<std::string> allowed;  // the values or names that would do, where they can be listed
    std::string nearest;               // the one that was probably meant, ""
};

// A request that was looked at and is not to be run.
struct ValidateRequest {
    std::vector<Finding> findings;      // every error, in the order of what was sent; empty: it may be run
    std::vector<std::string> warnings;  // what running it would warn about
    std::optional<GenerationRequest> request;  // what would run, if it is a generation without findings
};

using Command =
    std::variant<GenerationRequest, BatchRequest, StagesRequest, ModelLoadRequest, ModelUnloadRequest,
                 ModelInfoRequest, CleanupRequest, StatusRequest, CapabilitiesRequest, InitializeRequest,
                 CancelRequest, ValidateRequest, StopRequest>;

struct Message {
    ReplyTo reply;
    Result<Command> command = Error{};
    std::vector<std::string> warnings;  // about fields that nobody knows, or that change nothing
    std::string worker;                 // the worker that is asked, "" if none was named
    double timeout_seconds = 300;
    Priority priority = Priority::kNormal;
    ProgressWish progress;
};

// REQUIRES: nothing. Any bytes give a Message; what cannot be understood has an error for a command.
Message parse_message(std::string_view line);

// What is common to every answer.
struct AnswerContext {
    ReplyTo to;
    std::vector<std::string> warnings;  // of the request; an outcome adds its own
    double seconds = 0;                 // since the line was received, for `execution_time`
};

std::string answer_error(const AnswerContext& context, const Error& error);
std::string answer(const AnswerContext& context, const GenerationResult& result);
std::string answer(const AnswerContext& context, const BatchResult& result);
std::string answer(const AnswerContext& context, const StagesResult& result);
std::string answer(const AnswerContext& context, const ModelInfo& loaded);
std::string answer(const AnswerContext& context, const ModelUnloadResult& result);
std::string answer(const AnswerContext& context, const std::vector<ModelInfo>& models);
std::string answer(const AnswerContext& context, const CleanupResult& result);
std::string answer(const AnswerContext& context, const WorkerStatus& status);
std::string answer_capabilities(const AnswerContext& context, const EngineStatus& status);
// `more` is what the engine found beyond the request itself.
std::string answer_validation(const AnswerContext& context, const ValidateRequest& validated,
                              const std::vector<Error>& more);
std::string answer_cancelled(const AnswerContext& context, const std::vector<std::string>& ids);
// For commands that only succeed: initialize, stop.
std::string answer_done(const AnswerContext& context);

// Not an answer: a line in between, for a request that asked for progress.
std::string progress_line(const ReplyTo& to, const ProgressEvent& event);

}  // namespace sdxl
