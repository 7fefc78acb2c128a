// data.type batch: a list of generations, or one of them several times over.
#include <utility>

#include "protocol/commands.h"
#include "protocol/json_values.h"

namespace sdxl {
namespace {

std::string item_id(const CommandInput& input, std::size_t index) {
    return input.reply.id.empty() ? "" : input.reply.id + "-" + std::to_string(index);
}

// A path for all items becomes one for each: "a/b.png" -> "a/b-3.png".
std::string numbered(const std::string& path, std::size_t index) {
    const auto name = path.find_last_of("/\\") == std::string::npos ? 0 : path.find_last_of("/\\") + 1;
    const auto dot = path.find_last_of('.');
    const auto end = dot == std::string::npos || dot <= name ? path.size() : dot;
    return path.substr(0, end) + "-" + std::to_string(index) + path.substr(end);
}

GenerationRequest read_item(const CommandInput& input, const BodyFields& base, const SentObject& sent,
                            std::size_t index, Report& report) {
    const BodyKind kind = body_kind(sent);
    std::vector<const Schema*> schemas{&Schema::named("batch_item")};
    for (const Schema* schema : body_schemas(kind)) schemas.push_back(schema);
    const Canonical canonical = normalise(sent, schemas, report);
    BodyFields fields = read_body(kind, canonical, report);
    const bool own_path = fields.save_path.has_value();
    fields.fill_from(base, nullptr);
    GenerationRequest request = complete(fields, StartFrom::kNoise, sent.pointer, report);
    check_alone(fields, report);
    if (!own_path && !request.save_path.empty()) request.save_path = numbered(request.save_path, index);
    request.id = item_id(input, index);
    return request;
}

BatchItem read_list_item(const CommandInput& input, const BodyFields& base, const SentObject& sent,
                         std::size_t index, Report& report) {
    BatchItem item;
    Report found;
    if (sent.object->is_object())
        item.request = read_item(input, base, sent, index, found);
    else
        found.error(ErrorCode::kInvalidRequest,
                    "expected an object that says what to draw, found " + describe(*sent.object),
                    sent.pointer);
    if (input.validating) {
        report.add(std::move(found));
        return item;
    }
    item.warnings = found.warnings();
    if (!found.ok()) item.request = Report::first_of(found.findings(input.line));
    return item;
}

BatchRequest read_list(const CommandInput& input, const BodyFields& base, const Json& list,
                       const std::string& pointer, Report& report) {
    BatchRequest batch;
    for (std::size_t i = 0; i < list.size(); ++i)
        batch.items.push_back(
            read_list_item(input, base, {&list[i], pointer + "/" + std::to_string(i)}, i, report));
    return batch;
}

BatchRequest repeat(const CommandInput& input, BodyFields base, std::size_t count, Report& report) {
    base.batch_size.reset();
    const GenerationRequest first =
        complete(base, StartFrom::kNoise, input.levels.back().sent.pointer, report);
    check_alone(base, report);
    BatchRequest batch;
    batch.items.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        GenerationRequest request = first;
        request.seed = first.seed + i;
        request.id = item_id(input, i);
        if (!request.save_path.empty()) request.save_path = numbered(request.save_path, i);
        batch.items[i].request = std::move(request);
    }
    return batch;
}

}  // namespace

Command read_batch(const CommandInput& input, const BodyFields& base, Report& report) {
    auto size = innermost(input, report, [](const Members& members) { return members.integer("size"); });
    std::string pointer;
    if (const Json* list = find_list(input, "requests", pointer)) {
        if (size) report.warn(size->pointer, "has no effect: " + pointer + " lists the requests");
        return read_list(input, base, *list, pointer, report);
    }
    if (!size) size = base.batch_size;
    if (size) return repeat(input, base, static_cast<std::size_t>(size->value), report);
    report.missing("expected 'requests', an array of 1 to 64 bodies, or 'size', found neither",
                   input.levels.back().sent.pointer);
    return BatchRequest{};
}

}  // namespace sdxl
