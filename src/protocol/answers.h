// What the answers of all envelopes share. Each envelope has one function per kind of data, in its own
// naming.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocol/message.h"

namespace sdxl {

using OrderedJson = nlohmann::ordered_json;

// The line, always valid UTF-8, without a line break.
std::string to_line(const OrderedJson& answer);
// reply.id as it was sent: string, number or null.
OrderedJson id_of(const ReplyTo& to);
// Now, in UTC, e.g. "2025-01-31T23:59:59.123Z".
std::string timestamp();
std::vector<std::string> joined(const std::vector<std::string>& first,
                                const std::vector<std::string>& second);

// The seven members around an answer of the message envelope. `error` is null for a success.
std::string message_line(const ReplyTo& to, OrderedJson data, const Error* error,
                         const std::vector<std::string>& warnings, double seconds);
OrderedJson message_generation(const ReplyTo& to, const GenerationResult& result);
OrderedJson message_model(const ModelInfo& model);
OrderedJson message_status(const EngineStatus& status);
OrderedJson message_capabilities(const EngineStatus& status);

// The members around an answer of the action envelope: its hosts know success, error and data.
std::string action_line(const ReplyTo& to, OrderedJson data, const Error* error,
                        const std::vector<std::string>& warnings);
OrderedJson action_generation(const ReplyTo& to, const GenerationResult& result);
OrderedJson action_model(const ModelInfo& model);
OrderedJson action_status(const EngineStatus& status);
OrderedJson action_capabilities(const EngineStatus& status);

// What this worker can do, by name; true for the few that are built.
struct Feature {
    const char* message_name;
    const char* action_name;
    bool available;
};
const std::vector<Feature>& features();
inline constexpr int kMaxResolution = 4096;  // pixels, either side
inline constexpr int kMaxBatchSize = 64;
inline constexpr double kBytesPerMiB = 1024.0 * 1024.0;

}  // namespace sdxl
