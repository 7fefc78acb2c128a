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

// What diffusers' schedulers are configured by, and this worker's read; see sampling/scheduler_config.h.
constexpr const char* kOptions[] = {"num_train_timesteps",
                                    "beta_start",
                                    "beta_end",
                                    "beta_schedule",
                                    "rescale_betas_zero_snr",
                                    "prediction_type",
                                    "steps_offset",
                                    "sigma_min",
                                    "sigma_max",
                                    "interpolation_type",
                                    "solver_order",
                                    "algorithm_type",
                                    "solver_type",
                                    "lower_order_final",
                                    "euler_at_final",
                                    "use_lu_lambdas",
                                    "final_sigmas_type",
                                    "lambda_min_clipped",
                                    "predict_x0",
                                    "clip_sample",
                                    "clip_sample_range",
                                    "set_alpha_to_one",
                                    "skip_prk_steps",
                                    "variance_type",
                                    "original_inference_steps",
                                    "timestep_scaling"};

}  // namespace

std::vector<SchedulerOption> read_scheduler_config(const Members& config) {
    std::vector<SchedulerOption> options;
    for (const char* name : kOptions) {
        if (const auto flag = config.flag(name)) options.push_back({name, flag->value, flag->pointer});
        if (const auto number = config.number(name))
            options.push_back({name, number->value, number->pointer});
        if (const auto text = config.text(name)) options.push_back({name, text->value, text->pointer});
    }
    return options;
}

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
