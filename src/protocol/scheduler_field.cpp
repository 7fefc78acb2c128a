// The part of body_fields.h that knows schedulers.
#include <utility>
#include <vector>

#include "protocol/body_fields.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestName = 256;  // bytes, of a name that can be known
constexpr std::size_t kLongestShown = 60;

std::string shown(const std::string& name) {
    return name.size() <= kLongestShown ? "'" + name + "'"
                                        : "with a name of " + std::to_string(name.size()) + " bytes";
}

}  // namespace

std::optional<SchedulerChoice> read_scheduler(const Field<std::string>& name, Report& report) {
    if (name.value.size() <= kLongestName)
        if (const auto choice = parse_scheduler(name.value)) return choice;
    const std::vector<std::string> known = known_schedulers();
    const std::vector<std::string_view> views(known.begin(), known.end());
    Finding finding;
    finding.error.code = ErrorCode::kInvalidRequest;
    finding.error.pointer = name.pointer;
    finding.error.message =
        "the scheduler " + shown(name.value) + " is not known; expected one of " + list_names(views);
    finding.allowed = known;
    finding.nearest = nearest_name(name.value, views);
    if (!finding.nearest.empty()) finding.error.message += "; did you mean '" + finding.nearest + "'?";
    report.error(std::move(finding));
    return std::nullopt;
}

}  // namespace sdxl
