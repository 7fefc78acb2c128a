// From the members of a command to the typed command. What is wrong is reported; a command with errors in
// the report is not to be used. Pure functions but for the drawing of seeds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/bodies.h"
#include "protocol/message.h"
#include "protocol/normalise.h"
#include "protocol/report.h"

namespace sdxl {

// One object in which members of a command stand.
struct Level {
    SentObject sent;
    Canonical canonical;
    BodyKind body = BodyKind::kFlat;  // of a generation

    Members members() const { return Members(canonical); }
};

// What readers of commands are given.
struct CommandInput {
    const std::vector<Level>& levels;  // outermost first, at least one
    const ReplyTo& reply;
    EnvelopeKind envelope;
    std::string_view line;    // for the order of what is found
    bool validating = false;  // every error of a part is wanted, too
};

struct CommandRow {
    std::string_view name;    // as x-commands says
    std::string_view schema;  // of its members, "" if it has none
    bool has_body = false;    // of a generation
    Command (*read)(const CommandInput& input, Report& report) = nullptr;
};
// REQUIRES: x-commands has the name.
const CommandRow& command_row(std::string_view name);
std::vector<std::string> command_names();

Command read_inference(const CommandInput& input, Report& report);  // [inference_command.cpp]
// For a generation that is no stage: what only stages can mean is reported.
void check_alone(const BodyFields& fields, Report& report);
Command read_stages(const CommandInput& input, const BodyFields& base,  //
                    Report& report);                                    // [stages_command.cpp]
Command read_batch(const CommandInput& input, const BodyFields& base,   //
                   Report& report);                                     // [batch_command.cpp]
Command read_model_load(const CommandInput& input, Report& report);     // [model_commands.cpp]
Command read_model_unload(const CommandInput& input, Report& report);   //
Command read_model_info(const CommandInput& input, Report& report);     //
Command read_cancel(const CommandInput& input, Report& report);         // [control_commands.cpp]
Command read_initialize(const CommandInput& input, Report& report);     //
Command read_cleanup(const CommandInput& input, Report& report);        //

// The innermost level's member; a warning if another one says something else.
template <class Read>
auto innermost(const CommandInput& input, Report& report, const Read& read)
    -> decltype(read(input.levels.front().members())) {
    decltype(read(input.levels.front().members())) best;
    for (auto level = input.levels.rbegin(); level != input.levels.rend(); ++level) {
        const auto field = read(level->members());
        if (field && best && field->value != best->value)
            report.warn(field->pointer, "is ignored, because " + best->pointer + " is set");
        else if (!best)
            best = field;
    }
    return best;
}

// The list of that name as it was sent, in the innermost level that has it; null if none has, or if it is
// not valid.
const Json* find_list(const CommandInput& input, std::string_view name, std::string& pointer);

}  // namespace sdxl
