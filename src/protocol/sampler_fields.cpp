// How the picture is sampled: the part of generation_fields.h that knows schedulers.
#include <algorithm>
#include <cctype>
#include <iterator>
#include <vector>

#include "protocol/generation_fields.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

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

void read_scheduler(FieldReader& reader, Names names, GenerationRequest& request) {
    const auto name = reader.text(names);
    if (!name) return;
    if (const auto choice = parse_scheduler(name->value)) {
        request.scheduler = choice->type;
        request.karras_sigmas = choice->karras;
        return;
    }
    const std::vector<std::string> known = known_schedulers();
    const std::vector<std::string_view> views(known.begin(), known.end());
    const bool not_built = is_not_built(name->value);
    std::string message = "the scheduler '" + name->value + "' is " +
                          (not_built ? "not available in this worker yet" : "not known") +
                          "; expected one of " + list_names(views);
    const std::string_view meant = not_built ? "" : nearest_name(name->value, views);
    if (!meant.empty()) message += "; did you mean '" + std::string(meant) + "'?";
    reader.reject(not_built ? ErrorCode::kUnsupported : ErrorCode::kInvalidRequest, message, name->pointer,
                  known, std::string(meant));
}

void read_sampling(FieldReader& reader, GenerationRequest& request) {
    if (const auto karras = reader.flag({"use_karras_sigmas", "karras_sigmas", "karras"})) {
        // Hosts serialize false for a switch that nobody touched; the name of the scheduler was chosen.
        if (!karras->value && request.karras_sigmas.value_or(false))
            reader.warn(karras->pointer, "is ignored, because the scheduler's name says Karras");
        else
            request.karras_sigmas = karras->value;
    }
    if (const auto spacing = reader.text({"timestep_spacing"})) {
        request.timestep_spacing = parse_timestep_spacing(spacing->value);
        if (!request.timestep_spacing)
            reader.reject(ErrorCode::kInvalidRequest,
                          "expected 'leading', 'trailing' or 'linspace', found '" + spacing->value + "'",
                          spacing->pointer, {"leading", "trailing", "linspace"});
    }
    if (const auto rng = reader.text({"rng"})) {
        const auto kind = parse_rng(rng->value);
        if (!kind)
            reader.reject(ErrorCode::kInvalidRequest,
                          "expected 'cpu' or 'philox', found '" + rng->value + "'", rng->pointer,
                          {"cpu", "philox"});
        request.rng = kind.value_or(request.rng);
    }
}

}  // namespace sdxl
