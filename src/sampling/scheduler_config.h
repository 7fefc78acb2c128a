// What a scheduler is built from: the fields of diffusers' scheduler_config.json under their own names.
//
// One struct serves all schedulers, because a request may ask for another one than the model's file names;
// the fields that describe the model (betas, prediction type, spacing) then carry over, as in diffusers'
// `from_config`.
#pragma once

#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "request/names.h"

namespace sdxl {

enum class BetaSchedule { kLinear, kScaledLinear, kSquaredCosCapV2 };
enum class InterpolationType { kLinear, kLogLinear };
enum class DpmAlgorithm { kDpmSolver, kDpmSolverPlusPlus, kSdeDpmSolver, kSdeDpmSolverPlusPlus };
// The last three are those of DEIS and UniPC; DPM-Solver reads them as midpoint, as diffusers does.
enum class DpmSolverType { kMidpoint, kHeun, kLogRho, kBh1, kBh2 };
enum class FinalSigmasType { kZero, kSigmaMin };
enum class VarianceType { kFixedSmall, kFixedLarge };

struct SchedulerConfig {
    // The model's training schedule.
    int num_train_timesteps = 1000;
    double beta_start = 0.0001;
    double beta_end = 0.02;
    BetaSchedule beta_schedule = BetaSchedule::kLinear;
    std::vector<float> trained_betas;  // instead of the three above where it is not empty
    bool rescale_betas_zero_snr = false;
    PredictionType prediction_type = PredictionType::kEpsilon;

    // Which timesteps are visited.
    std::optional<TimestepSpacing> timestep_spacing;  // absent: the scheduler's own default
    int steps_offset = 0;
    bool use_karras_sigmas = false;
    SigmaSchedule sigma_schedule = SigmaSchedule::kPlain;  // goes before the flag above unless it is plain
    std::optional<double> sigma_min, sigma_max;            // ends of the ramps; absent: from the schedule

    // Euler and its relatives.
    InterpolationType interpolation_type = InterpolationType::kLinear;

    // DPM-Solver; the order, UniPC and DEIS too.
    int solver_order = 2;
    DpmAlgorithm algorithm_type = DpmAlgorithm::kDpmSolverPlusPlus;
    DpmSolverType solver_type = DpmSolverType::kMidpoint;
    bool lower_order_final = true;
    bool euler_at_final = false;
    bool use_lu_lambdas = false;
    FinalSigmasType final_sigmas_type = FinalSigmasType::kZero;
    double lambda_min_clipped = -std::numeric_limits<double>::infinity();

    // UniPC.
    bool predict_x0 = true;

    // DDIM, DDPM, PNDM, LCM, TCD. Files of latent models say that samples are not clipped and that PNDM skips
    // its Runge-Kutta start; a file that is silent is read so too, unlike in diffusers.
    bool clip_sample = false;
    double clip_sample_range = 1;
    bool set_alpha_to_one = true;
    bool skip_prk_steps = true;
    VarianceType variance_type = VarianceType::kFixedSmall;
    int original_inference_steps = 50;
    double timestep_scaling = 10;
};

// A file's scheduler, its configuration, and the keys that nothing here knows (for a warning).
struct LoadedSchedulerConfig {
    SchedulerType type = SchedulerType::kEuler;
    SchedulerConfig config;
    std::vector<std::string> unknown_keys;
};

// The fields of a configuration object; `source` names it in errors. A value that no scheduler here can
// honour is a failure with kUnsupported, a value of the wrong kind one with kInvalidModel. Keys that other
// diffusers schedulers write are passed over as diffusers does; keys that nobody knows are appended to
// `unknown_keys` if that is given.
SchedulerConfig parse_scheduler_config(const nlohmann::json& json, const std::string& source,
                                       std::vector<std::string>* unknown_keys = nullptr);

// Sets one field, by its name in the file; false if nothing here knows it. Fails as above.
bool set_scheduler_field(SchedulerConfig& config, const std::string& key, const nlohmann::json& value,
                         const std::string& source);

// scheduler_config.json. Python's bare -Infinity, Infinity and NaN are read as "not set". Fails with
// kNotFound, kIo, kInvalidModel, or kUnsupported for a class that is not built, naming those that are.
LoadedSchedulerConfig load_scheduler_config(const std::filesystem::path& path);

}  // namespace sdxl
