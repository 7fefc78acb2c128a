#include <utility>

#include "protocol/commands.h"

namespace sdxl {
namespace {

BodyFields read_fields(const CommandInput& input, Report& report) {
    BodyFields fields;
    for (auto level = input.levels.rbegin(); level != input.levels.rend(); ++level)
        fields.fill_from(read_body(level->body, level->canonical, report), &report);
    return fields;
}

void warn_unused(const CommandInput& input, std::string_view list, std::string_view why, Report& report) {
    std::string pointer;
    if (find_list(input, list, pointer) != nullptr)
        report.warn(pointer, std::string("has no effect: ") + std::string(why));
}

}  // namespace

Command read_inference(const CommandInput& input, Report& report) {
    BodyFields fields = read_fields(input, report);
    std::string pointer;
    const bool has_stages = find_list(input, "stages", pointer) != nullptr;
    const bool has_requests = find_list(input, "requests", pointer) != nullptr;
    const auto type = innermost(input, report, [](const Members& members) { return members.text("type"); });
    // Who sends a list means it.
    std::string kind = has_stages ? "multi_stage" : (has_requests ? "batch" : "inference");
    if (type) kind = type->value;
    if (kind != "multi_stage") warn_unused(input, "stages", "type is '" + kind + "'", report);
    if (kind != "batch") warn_unused(input, "requests", "type is '" + kind + "'", report);
    if (kind == "multi_stage") return read_stages(input, fields, report);
    if (kind == "batch") return read_batch(input, fields, report);
    const auto size =
        innermost(input, report, [](const Members& members) { return members.integer("size"); });
    if (size)
        report.warn(size->pointer, "has no effect: type is 'inference'; batch_size says how many pictures");
    GenerationRequest request = complete(fields, StartFrom::kNoise, input.levels.back().sent.pointer, report);
    request.id = input.reply.id;
    return request;
}

}  // namespace sdxl
