// The part of body_fields.h that knows schedulers.
#include <algorithm>
#include <cctype>
#include <iterator>
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

// Samplers that hosts may name and that are not built yet, in the form that sampler_form() gives. They are
// told from misspelled names by the error's code.
constexpr std::string_view kNotBuilt[] = {
    // diffusers classes
    "ddim", "ddiminverse", "ddpm", "pndm", "lms", "heun", "kdpm2", "kdpm2ancestral", "dpmsolversinglestep",
    "dpmsolversde", "dpmsolvermultistepinverse", "unipc", "deis", "lcm", "tcd", "edmeuler", "edmdpmsolver",
    "edmdpmsolvermultistep", "ipndm", "sasolver", "cosinedpmsolver", "flowmatcheuler", "flowmatchheun",
    // community names
    "plms", "dpm2", "dpm2a", "dpm++2s", "dpm++2sa", "dpm++sde", "dpm++2msde", "dpm++2msdeheun", "dpm++3msde",
    "dpmfast", "dpmadaptive", "restart", "eulera2", "ddimcfg++", "eulercfg++"};

constexpr std::string_view kSuffixes[] = {"karras", "exponential", "scheduler", "multistep", "discrete"};

// Lower case without separators and without what says nothing about the algorithm.
std::string sampler_form(std::string_view name) {
    std::string form;
    for (const char c : name)
        if (c != ' ' && c != '_' && c != '-')
            form += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const std::string_view suffix : kSuffixes) {
        if (form.size() > suffix.size() && form.ends_with(suffix)) form.resize(form.size() - suffix.size());
    }
    return form;
}

bool is_not_built(std::string_view name) {
    const std::string form = sampler_form(name);
    // One of ours with sigmas that are not built, e.g. "DPM++ 2M Exponential".
    if (parse_scheduler(form)) return true;
    return std::any_of(std::begin(kNotBuilt), std::end(kNotBuilt),
                       [&](std::string_view known) { return sampler_form(known) == form; });
}

}  // namespace

std::optional<SchedulerChoice> read_scheduler(const Field<std::string>& name, Report& report) {
    if (name.value.size() <= kLongestName)
        if (const auto choice = parse_scheduler(name.value)) return choice;
    const std::vector<std::string> known = known_schedulers();
    const std::vector<std::string_view> views(known.begin(), known.end());
    const bool not_built = name.value.size() <= kLongestName && is_not_built(name.value);
    Finding finding;
    finding.error.code = not_built ? ErrorCode::kUnsupported : ErrorCode::kInvalidRequest;
    finding.error.pointer = name.pointer;
    finding.error.message = "the scheduler " + shown(name.value) + " is " +
                            (not_built ? "not available in this worker yet" : "not known") +
                            "; expected one of " + list_names(views);
    finding.allowed = known;
    if (!not_built) finding.nearest = nearest_name(name.value, views);
    if (!finding.nearest.empty()) finding.error.message += "; did you mean '" + finding.nearest + "'?";
    report.error(std::move(finding));
    return std::nullopt;
}

}  // namespace sdxl
