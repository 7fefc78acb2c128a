// Requests for pictures: one, several stages, a batch. The part of commands.h that knows bodies.
#include <algorithm>
#include <utility>

#include "protocol/bodies.h"
#include "protocol/commands.h"
#include "protocol/generation_fields.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kMostItems = 64;
constexpr std::size_t kMostStages = 8;
const Names kItemNames = {"requests", "items"};
// What belongs to the whole request, so that items and stages do not take it over.
const Names kOfTheWhole = {"requests", "items",   "stages",   "type",        "size",     "metadata",
                           "priority", "timeout", "progress", "worker_type", "save_path"};

// What stands around every body: the request's own bookkeeping.
void read_around(FieldReader& body, Message& message) {
    body.ignore({"request_id", "session_id"});
    read_worker(body, message);
    read_delivery(body, message);
    FieldReader metadata = body.object({"metadata"});
    read_delivery(metadata, message);
    metadata.ignore({"request_id"});
    metadata.no_effect({"tags"}, "this worker keeps no tags");
    metadata.finish();
}

std::string numbered(const std::string& id, std::size_t index) {
    return id.empty() ? "" : id + "-" + std::to_string(index);
}

// a/b.png -> a/b_2.png
std::string numbered_path(const std::string& path, int index) {
    if (path.empty()) return "";
    const std::size_t slash = path.find_last_of("/\\");
    const std::size_t dot = path.rfind('.');
    const bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
    const std::size_t at = has_extension ? dot : path.size();
    return path.substr(0, at) + "_" + std::to_string(index) + path.substr(at);
}

// One item of a list, with what it inherits from the body around the list.
BatchItem read_item(const Field<const Json*>& entry, const FieldReader& body, const std::string& id) {
    Notes notes;
    FieldReader item(*entry.value, entry.pointer, notes);
    item.ignore({"request_id", "session_id"});
    item.inherit(body, kOfTheWhole);
    GenerationRequest request = read_body(item, BodyRole::kAlone);
    item.finish();
    request.id = id;
    if (!notes.findings.empty()) return {notes.findings.front().error, notes.warnings};
    return {std::move(request), std::move(notes.warnings)};
}

Command read_batch(FieldReader& body, const Message& message) {
    BatchRequest batch;
    const auto entries = body.objects(kItemNames, kMostItems);
    for (std::size_t i = 0; i < entries.size(); ++i)
        batch.items.push_back(read_item(entries[i], body, numbered(message.reply.id, i)));
    if (body.has("requests") || body.has("items")) {
        body.no_effect({"save_path", "output_path"}, "every item names its own");
        return batch;
    }
    // A body and a size: as many requests of one picture each.
    const auto size = body.integer({"size"}, kBatchRange);
    const GenerationRequest request = read_body(body, BodyRole::kAlone);
    const int count = size ? static_cast<int>(size->value) : request.batch_size;
    for (int i = 0; i < count; ++i) {
        GenerationRequest one = request;
        one.batch_size = 1;
        one.seed = request.seed + static_cast<std::uint64_t>(i);
        one.id = numbered(message.reply.id, static_cast<std::size_t>(i));
        if (i > 0) one.save_path = numbered_path(request.save_path, i);
        batch.items.push_back({std::move(one), {}});
    }
    return batch;
}

GenerationStage read_stage(const Field<const Json*>& entry, const FieldReader& body, std::size_t index) {
    FieldReader reader(*entry.value, entry.pointer, body.notes());
    const auto name = reader.text({"name"}, 256);
    const bool keeps_path = reader.has("save_path") || reader.has_object("output");
    reader.inherit(body, kOfTheWhole);
    GenerationStage stage;
    stage.name = name ? name->value : "stage " + std::to_string(index + 1);
    stage.request = read_body(reader, index == 0 ? BodyRole::kAlone : BodyRole::kLaterStage);
    reader.finish();
    if (!keeps_path) stage.request.save_path.clear();
    if (stage.request.batch_size != 1)
        reader.reject(ErrorCode::kUnsupported, "a stage makes one picture: expected a batch size of 1",
                      entry.pointer);
    return stage;
}

Command read_stages(FieldReader& body, const Message& message) {
    StagesRequest request;
    const auto entries = body.objects({"stages"}, kMostStages);
    const auto save_path = body.text({"save_path", "output_path"});
    for (std::size_t i = 0; i < entries.size(); ++i) {
        GenerationStage stage = read_stage(entries[i], body, i);
        const bool last = i + 1 == entries.size();
        stage.request.id = last ? message.reply.id : numbered(message.reply.id, i);
        stage.request.keep_pixels = !last;
        if (last && stage.request.save_path.empty() && save_path) stage.request.save_path = save_path->value;
        const GenerationRequest& first = i == 0 ? stage.request : request.stages.front().request;
        if (stage.request.width != first.width || stage.request.height != first.height)
            body.reject(
                ErrorCode::kUnsupported,
                "all stages make pictures of the same size: resizing between them is not available in "
                "this worker yet",
                entries[i].pointer);
        request.stages.push_back(std::move(stage));
    }
    if (entries.empty())
        body.reject(ErrorCode::kInvalidRequest,
                    "expected 'stages', a list of 1 to " + std::to_string(kMostStages) +
                        " bodies, each of which inherits what stands beside the list",
                    body.pointer());
    return request;
}

Command read_one(FieldReader& body, const Message& message) {
    GenerationRequest request = read_body(body, BodyRole::kAlone);
    request.id = message.reply.id;
    return request;
}

// `holder` is what the body stands in, or the body itself.
Command read_kind(FieldReader& body, FieldReader& holder, Message& message) {
    constexpr std::string_view kKinds[] = {"inference", "multi_stage", "batch"};
    read_around(body, message);
    const auto kind = prefer(body.text({"type"}), holder.text({"type"}), holder);
    if (!kind || same_name(kind->value, kKinds[0])) return read_one(body, message);
    if (same_name(kind->value, kKinds[1])) return read_stages(body, message);
    if (same_name(kind->value, kKinds[2])) return read_batch(body, message);
    const std::string_view meant = nearest_name(kind->value, kKinds);
    body.reject(ErrorCode::kInvalidRequest,
                "expected the type 'inference', 'multi_stage' or 'batch', found '" + kind->value + "'" +
                    (meant.empty() ? "" : "; did you mean '" + std::string(meant) + "'?"),
                kind->pointer, {std::begin(kKinds), std::end(kKinds)}, std::string(meant));
    return read_one(body, message);
}

}  // namespace

Command read_work(FieldReader& holder, Message& message) {
    for (const std::string_view name : {"request", "request_data", "parameters"}) {
        if (!holder.has_object(name)) continue;
        read_around(holder, message);
        FieldReader body = holder.object({name});
        Command command = read_kind(body, holder, message);
        body.finish();
        return command;
    }
    return read_kind(holder, holder, message);
}

}  // namespace sdxl
