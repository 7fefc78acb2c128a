// What envelopes have in common: ids, priorities and timeouts, models to load, where the body of a generation
// stands. Everything throws Failure for what cannot be accepted.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/field_reader.h"
#include "protocol/message.h"

namespace sdxl {

// The first of the id members that is set becomes reply.id; ignores what is no id, so that it serves broken
// lines too.
void find_id(const Json& object, Names names, ReplyTo& reply);

// priority and timeout.
void read_delivery(FieldReader& reader, Message& message);

ModelLoadRequest read_model_load(FieldReader& reader);

// A generation from the body in `holder`, or from the object that it keeps under request, request_data or
// parameters. Warns about unknown members of both.
GenerationRequest read_generation(FieldReader& holder, Message& message);

// The error for a command that is not served: known ones are kUnsupported, others kInvalidRequest with a
// suggestion.
[[noreturn]] void refuse_command(std::string_view member, const std::string& name, const std::string& pointer,
                                 std::span<const std::string_view> served,
                                 std::span<const std::string_view> known);

}  // namespace sdxl
