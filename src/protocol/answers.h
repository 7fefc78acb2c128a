// What the answers of all envelopes share. Hosts of the message envelopes (1, 3 and 4) read snake_case, those
// of the action envelope camelCase: each has one function per kind of data, named after its shape.
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
OrderedJson or_null(const std::string& text);
template <class T>
OrderedJson or_null(const std::optional<T>& value) {
    return value ? OrderedJson(*value) : OrderedJson(nullptr);
}
// What stands in for a model's own parts, by name.
OrderedJson parts_of(const ModelInfo& model);
// The switches that trade speed for memory.
OrderedJson memory_optimizations();
// Now, in UTC, e.g. "2025-01-31T23:59:59.123Z".
std::string timestamp();

// The members around the data. `error` is null for a success.
std::string message_line(const AnswerContext& context, OrderedJson data, const Error* error,
                         const std::vector<std::string>& warnings);
std::string action_line(const AnswerContext& context, OrderedJson data, const Error* error,
                        const std::vector<std::string>& warnings);

OrderedJson message_generation(const ReplyTo& to, const GenerationResult& result);
OrderedJson message_batch(const ReplyTo& to, const BatchResult& result);
OrderedJson message_stages(const ReplyTo& to, const StagesResult& result);
OrderedJson message_model(const ModelInfo& model);
OrderedJson message_status(const WorkerStatus& status);
OrderedJson message_capabilities(const EngineStatus& status);
// The machine's devices, this worker's own first [status_answer.cpp].
OrderedJson devices_json(const EngineStatus& status, bool camel_case);

OrderedJson action_generation(const ReplyTo& to, const GenerationResult& result);
OrderedJson action_batch(const ReplyTo& to, const BatchResult& result);
OrderedJson action_stages(const ReplyTo& to, const StagesResult& result);
OrderedJson action_model(const ModelInfo& model);
OrderedJson action_status(const WorkerStatus& status);
OrderedJson action_capabilities(const EngineStatus& status);

// What this worker can do, by name; true for the few that are built.
struct Feature {
    const char* message_name;
    const char* action_name;
    bool available;
};
const std::vector<Feature>& features();

// What was added to the model, as members of `data`: "loras", "textual_inversions", "controlnets",
// "reference_images"; those that there are.
void add_additions(OrderedJson& data, const GenerationResult& result, bool camel_case);
inline constexpr int kMaxResolution = 4096;  // pixels, either side
inline constexpr int kMaxBatchSize = 64;
inline constexpr double kBytesPerMiB = 1024.0 * 1024.0;

}  // namespace sdxl
