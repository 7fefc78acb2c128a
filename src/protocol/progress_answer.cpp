// Lines in between, for requests that asked for progress. They have no `success`: that tells them from
// answers.
#include "core/base64.h"
#include "image/png.h"
#include "protocol/answers.h"

namespace sdxl {
namespace {

OrderedJson progress_data(const ProgressEvent& event, bool camel_case) {
    const auto name = [&](const char* snake, const char* camel) { return camel_case ? camel : snake; };
    const bool steps = event.stage == Stage::kDenoise;
    OrderedJson data = {
        {"stage", stage_name(event.stage)},
        {"step", steps ? OrderedJson(static_cast<long>(event.done)) : OrderedJson(nullptr)},
        {name("total_steps", "totalSteps"),
         steps ? OrderedJson(static_cast<long>(event.total)) : OrderedJson(nullptr)},
        {"percent", event.percent},
        {name("elapsed_seconds", "elapsedSeconds"), event.elapsed_seconds},
        {name("estimated_seconds_left", "estimatedSecondsLeft"), or_null(event.seconds_left)}};
    if (event.parts > 1) {
        data["part"] = event.part;
        data["parts"] = event.parts;
    }
    if (event.preview) data["preview"] = encode_base64(encode_png(*event.preview));
    return data;
}

}  // namespace

std::string progress_line(const ReplyTo& to, const ProgressEvent& event) {
    OrderedJson line;
    if (to.envelope == EnvelopeKind::kAction) {
        line["progress"] = progress_data(event, true);
        if (!to.id.empty()) line[to.id_name] = id_of(to);
    } else {
        line["message_type"] = "progress_update";
        line["request_id"] = id_of(to);
        line["data"] = progress_data(event, false);
        line["timestamp"] = timestamp();
    }
    return to_line(line);
}

}  // namespace sdxl
