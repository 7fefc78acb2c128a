#include "sampling/scheduler_options.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/error.h"
#include "sampling/scheduler_registry.h"
#include "sampling/step_layout.h"

namespace sdxl {
namespace {

using Type = SchedulerType;

// Fields that only some schedulers read; what is not here, all read.
struct Scope {
    std::string_view name;
    std::vector<Type> types;
};
const std::vector<Scope>& scopes() {
    static const std::vector<Type> multistep{Type::kDpmSolverMultistep, Type::kDpmPlusPlus2MSde,
                                             Type::kDpmPlusPlus2MSdeHeun, Type::kDpmPlusPlus3M,
                                             Type::kDpmPlusPlus3MSde};
    static const auto with = [](std::vector<Type> types, const std::vector<Type>& more) {
        types.insert(types.end(), more.begin(), more.end());
        return types;
    };
    static const auto solvers = with({Type::kDpmSolverSinglestep, Type::kUniPc, Type::kDeis}, multistep);
    static const std::vector<Type> whole{Type::kDdim, Type::kDdpm, Type::kPndm, Type::kLcm, Type::kTcd};
    static const std::vector<Type> clipping{Type::kDdim, Type::kDdpm, Type::kLcm, Type::kTcd};
    // The variants that have a name of their own bring their algorithm, order and type.
    static const std::vector<Scope> all{
        {"algorithm_type", {Type::kDpmSolverMultistep, Type::kDpmSolverSinglestep}},
        {"solver_type", {Type::kDpmSolverMultistep, Type::kDpmSolverSinglestep, Type::kUniPc}},
        {"solver_order", {Type::kDpmSolverMultistep, Type::kDpmSolverSinglestep, Type::kUniPc, Type::kDeis}},
        {"lower_order_final", solvers},
        {"euler_at_final", multistep},
        {"use_lu_lambdas", solvers},
        {"lambda_min_clipped", solvers},
        {"final_sigmas_type", with({Type::kDpmSolverSinglestep}, multistep)},
        {"predict_x0", {Type::kUniPc}},
        {"clip_sample", clipping},
        {"clip_sample_range", clipping},
        {"set_alpha_to_one", whole},
        {"skip_prk_steps", {Type::kPndm}},
        {"variance_type", {Type::kDdpm}},
        {"original_inference_steps", {Type::kLcm, Type::kTcd}},
        {"timestep_scaling", {Type::kLcm}},
    };
    return all;
}

bool has_ramp(const SchedulerConfig& config) {
    const SigmaSchedule schedule = sigma_schedule_of(config);
    return schedule == SigmaSchedule::kKarras || schedule == SigmaSchedule::kExponential ||
           schedule == SigmaSchedule::kBeta || config.use_lu_lambdas;
}

bool reads(SchedulerType type, const SchedulerConfig& config, std::string_view name) {
    if (name == "sigma_min" || name == "sigma_max") return has_ramp(config);
    if (name == "steps_offset")
        return config.timestep_spacing.value_or(default_spacing(type)) == TimestepSpacing::kLeading;
    if (name == "clip_sample_range" && !config.clip_sample) return false;
    const auto found = std::find_if(scopes().begin(), scopes().end(),
                                    [&](const Scope& scope) { return scope.name == name; });
    return found == scopes().end() ||
           std::find(found->types.begin(), found->types.end(), type) != found->types.end();
}

nlohmann::json json_of(const SchedulerOption& option) {
    if (const auto* number = std::get_if<double>(&option.value)) {
        const auto whole = static_cast<std::int64_t>(*number);
        if (static_cast<double>(whole) == *number) return whole;
        return *number;
    }
    if (const auto* flag = std::get_if<bool>(&option.value)) return *flag;
    return std::get<std::string>(option.value);
}

}  // namespace

void apply_scheduler_options(SchedulerConfig& config, const std::vector<SchedulerOption>& options) {
    for (const SchedulerOption& option : options) {
        try {
            set_scheduler_field(config, option.name, json_of(option), "scheduler_config");
        } catch (const Failure& failure) {
            Error error = failure.error();
            if (error.code == ErrorCode::kInvalidModel) error.code = ErrorCode::kInvalidRequest;
            error.pointer = option.pointer;
            throw Failure(std::move(error));
        }
    }
}

bool describes_model(std::string_view name) {
    constexpr std::array<std::string_view, 6> kNames{
        "num_train_timesteps",    "beta_start",     "beta_end", "beta_schedule",
        "rescale_betas_zero_snr", "prediction_type"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::vector<const SchedulerOption*> unused_options(SchedulerType type, const SchedulerConfig& config,
                                                   const std::vector<SchedulerOption>& options) {
    std::vector<const SchedulerOption*> unused;
    for (const SchedulerOption& option : options)
        if (!reads(type, config, option.name)) unused.push_back(&option);
    return unused;
}

}  // namespace sdxl
