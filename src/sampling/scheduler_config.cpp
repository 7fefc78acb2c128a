#include "sampling/scheduler_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;
template <class Enum>
using Names = std::vector<std::pair<std::string_view, Enum>>;

// One field: where it stands (for errors) and its value, never null.
struct Field {
    const std::string& source;
    const std::string& key;
    const Json& value;

    [[noreturn]] void reject(ErrorCode code, const std::string& why) const {
        fail(code, source + ": " + key + " is " + value.dump() + ", " + why);
    }
    template <class T>
    T get(bool right_kind, const char* expected) const {
        if (!right_kind) reject(ErrorCode::kInvalidModel, std::string("expected ") + expected);
        return value.get<T>();
    }
    bool boolean() const { return get<bool>(value.is_boolean(), "true or false"); }
    double number() const { return get<double>(value.is_number(), "a number"); }
    std::string text() const { return get<std::string>(value.is_string(), "a string"); }
    int whole(int low, int high) const {
        const int found =
            get<int>(value.is_number_integer() && value.get<std::int64_t>() >= low &&
                         value.get<std::int64_t>() <= high,
                     ("a whole number of " + std::to_string(low) + " to " + std::to_string(high)).c_str());
        return found;
    }
    template <class Enum>
    Enum one_of(const Names<Enum>& names) const {
        const std::string found = text();
        std::string known;
        for (const auto& [name, choice] : names) {
            if (name == found) return choice;
            known += (known.empty() ? "" : ", ") + std::string(name);
        }
        reject(ErrorCode::kUnsupported, "supported are " + known);
    }
    // For what is not built: only the value that leaves it off is accepted.
    void must_be(const Json& neutral) const {
        if (value != neutral) reject(ErrorCode::kUnsupported, "only " + neutral.dump() + " is supported");
    }
};

const Names<BetaSchedule> kBetaSchedules = {{"linear", BetaSchedule::kLinear},
                                            {"scaled_linear", BetaSchedule::kScaledLinear},
                                            {"squaredcos_cap_v2", BetaSchedule::kSquaredCosCapV2}};
const Names<PredictionType> kPredictionTypes = {{"epsilon", PredictionType::kEpsilon},
                                                {"v_prediction", PredictionType::kVPrediction},
                                                {"sample", PredictionType::kSample},
                                                {"original_sample", PredictionType::kSample}};
const Names<TimestepSpacing> kSpacings = {{"leading", TimestepSpacing::kLeading},
                                          {"trailing", TimestepSpacing::kTrailing},
                                          {"linspace", TimestepSpacing::kLinspace}};
const Names<InterpolationType> kInterpolations = {{"linear", InterpolationType::kLinear},
                                                  {"log_linear", InterpolationType::kLogLinear}};
const Names<DpmAlgorithm> kAlgorithms = {{"dpmsolver", DpmAlgorithm::kDpmSolver},
                                         {"dpmsolver++", DpmAlgorithm::kDpmSolverPlusPlus},
                                         {"sde-dpmsolver", DpmAlgorithm::kSdeDpmSolver},
                                         {"sde-dpmsolver++", DpmAlgorithm::kSdeDpmSolverPlusPlus},
                                         {"deis", DpmAlgorithm::kDpmSolverPlusPlus}};
const Names<DpmSolverType> kSolverTypes = {{"midpoint", DpmSolverType::kMidpoint},
                                           {"heun", DpmSolverType::kHeun},
                                           {"logrho", DpmSolverType::kLogRho},
                                           {"bh1", DpmSolverType::kBh1},
                                           {"bh2", DpmSolverType::kBh2}};
// The logarithmic kinds differ in how diffusers stores the variance, not in its value.
const Names<VarianceType> kVarianceTypes = {{"fixed_small", VarianceType::kFixedSmall},
                                            {"fixed_small_log", VarianceType::kFixedSmall},
                                            {"fixed_large", VarianceType::kFixedLarge}};
const Names<FinalSigmasType> kFinalSigmas = {{"zero", FinalSigmasType::kZero},
                                             {"sigma_min", FinalSigmasType::kSigmaMin}};

std::vector<float> read_betas(const Field& field) {
    const bool numbers =
        field.value.is_array() && !field.value.empty() &&
        std::all_of(field.value.begin(), field.value.end(), [](const Json& v) { return v.is_number(); });
    return field.get<std::vector<float>>(numbers, "a list of numbers");
}

using Reader = std::function<void(SchedulerConfig&, const Field&)>;

// Every field that means something here.
const std::map<std::string, Reader, std::less<>>& readers() {
    using C = SchedulerConfig;
    using F = Field;
    static const std::map<std::string, Reader, std::less<>> table = {
        {"num_train_timesteps", [](C& c, const F& f) { c.num_train_timesteps = f.whole(2, 1000000); }},
        {"beta_start", [](C& c, const F& f) { c.beta_start = f.number(); }},
        {"beta_end", [](C& c, const F& f) { c.beta_end = f.number(); }},
        {"beta_schedule", [](C& c, const F& f) { c.beta_schedule = f.one_of(kBetaSchedules); }},
        {"trained_betas", [](C& c, const F& f) { c.trained_betas = read_betas(f); }},
        {"rescale_betas_zero_snr", [](C& c, const F& f) { c.rescale_betas_zero_snr = f.boolean(); }},
        {"prediction_type", [](C& c, const F& f) { c.prediction_type = f.one_of(kPredictionTypes); }},
        {"timestep_spacing", [](C& c, const F& f) { c.timestep_spacing = f.one_of(kSpacings); }},
        {"steps_offset", [](C& c, const F& f) { c.steps_offset = f.whole(0, 1000000); }},
        {"use_karras_sigmas", [](C& c, const F& f) { c.use_karras_sigmas = f.boolean(); }},
        {"use_exponential_sigmas",
         [](C& c, const F& f) {
             if (f.boolean()) c.sigma_schedule = SigmaSchedule::kExponential;
         }},
        {"use_beta_sigmas",
         [](C& c, const F& f) {
             if (f.boolean()) c.sigma_schedule = SigmaSchedule::kBeta;
         }},
        {"sigma_min", [](C& c, const F& f) { c.sigma_min = f.number(); }},
        {"sigma_max", [](C& c, const F& f) { c.sigma_max = f.number(); }},
        {"interpolation_type", [](C& c, const F& f) { c.interpolation_type = f.one_of(kInterpolations); }},
        {"solver_order", [](C& c, const F& f) { c.solver_order = f.whole(1, 3); }},
        {"algorithm_type", [](C& c, const F& f) { c.algorithm_type = f.one_of(kAlgorithms); }},
        {"solver_type", [](C& c, const F& f) { c.solver_type = f.one_of(kSolverTypes); }},
        {"lower_order_final", [](C& c, const F& f) { c.lower_order_final = f.boolean(); }},
        {"euler_at_final", [](C& c, const F& f) { c.euler_at_final = f.boolean(); }},
        {"use_lu_lambdas", [](C& c, const F& f) { c.use_lu_lambdas = f.boolean(); }},
        {"final_sigmas_type", [](C& c, const F& f) { c.final_sigmas_type = f.one_of(kFinalSigmas); }},
        {"lambda_min_clipped", [](C& c, const F& f) { c.lambda_min_clipped = f.number(); }},
        {"predict_x0", [](C& c, const F& f) { c.predict_x0 = f.boolean(); }},
        {"clip_sample", [](C& c, const F& f) { c.clip_sample = f.boolean(); }},
        {"clip_sample_range", [](C& c, const F& f) { c.clip_sample_range = f.number(); }},
        {"set_alpha_to_one", [](C& c, const F& f) { c.set_alpha_to_one = f.boolean(); }},
        {"skip_prk_steps", [](C& c, const F& f) { c.skip_prk_steps = f.boolean(); }},
        {"variance_type", [](C& c, const F& f) { c.variance_type = f.one_of(kVarianceTypes); }},
        {"original_inference_steps",
         [](C& c, const F& f) { c.original_inference_steps = f.whole(1, 1000000); }},
        {"timestep_scaling", [](C& c, const F& f) { c.timestep_scaling = f.number(); }},
        {"timestep_type", [](C&, const F& f) { f.must_be("discrete"); }},
        {"thresholding", [](C&, const F& f) { f.must_be(false); }},
        {"use_flow_sigmas", [](C&, const F& f) { f.must_be(false); }},
    };
    return table;
}

// Keys that diffusers writes for schedulers to which they mean nothing; it passes over them too.
constexpr std::string_view kForeignKeys[] = {"dynamic_thresholding_ratio",
                                             "sample_max_value",
                                             "solver_p",
                                             "disable_corrector",
                                             "s_churn",
                                             "eta",
                                             "flow_shift",
                                             "rho",
                                             "use_dynamic_shifting",
                                             "time_shift_type",
                                             "shift",
                                             "solver_beta_schedule",
                                             "sigma_data"};

std::string read_file(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error))
        fail(ErrorCode::kNotFound, path.string() + ": no such file");
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) fail(ErrorCode::kIo, path.string() + ": cannot be read");
    return text;
}

// Python writes infinities and NaN as bare words, which JSON does not have.
std::string without_bare_words(const std::string& text) {
    constexpr std::array<std::string_view, 3> kWords = {"-Infinity", "Infinity", "NaN"};
    std::string out;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto rest = std::string_view(text).substr(at);
        const auto word = in_string ? kWords.end()
                                    : std::find_if(kWords.begin(), kWords.end(),
                                                   [&](std::string_view w) { return rest.starts_with(w); });
        if (word != kWords.end()) {
            out += "null";
            at += word->size();
            continue;
        }
        const std::size_t length = in_string && rest[0] == '\\' && rest.size() > 1 ? 2 : 1;
        if (rest[0] == '"') in_string = !in_string;
        out += rest.substr(0, length);
        at += length;
    }
    return out;
}

SchedulerType read_class(const Json& json, const std::string& source) {
    const auto name = json.find("_class_name");
    if (name == json.end() || !name->is_string())
        fail(ErrorCode::kInvalidModel, source + ": has no _class_name");
    const auto choice = parse_scheduler(name->get<std::string>());
    if (choice) return choice->type;
    std::string known;
    for (const auto& known_name : known_schedulers()) known += (known.empty() ? "" : ", ") + known_name;
    fail(ErrorCode::kUnsupported, source + ": the scheduler " + name->get<std::string>() +
                                      " is not available; available are " + known);
}

}  // namespace

bool set_scheduler_field(SchedulerConfig& config, const std::string& key, const Json& value,
                         const std::string& source) {
    const auto reader = readers().find(key);
    if (reader == readers().end()) return false;
    if (!value.is_null()) reader->second(config, Field{source, key, value});
    return true;
}

SchedulerConfig parse_scheduler_config(const Json& json, const std::string& source,
                                       std::vector<std::string>* unknown_keys) {
    if (!json.is_object()) fail(ErrorCode::kInvalidModel, source + ": expected a JSON object");
    SchedulerConfig config;
    for (const auto& [key, value] : json.items()) {
        if (set_scheduler_field(config, key, value, source)) continue;
        if (unknown_keys && !key.starts_with('_') &&
            std::find(std::begin(kForeignKeys), std::end(kForeignKeys), key) == std::end(kForeignKeys))
            unknown_keys->push_back(key);
    }
    return config;
}

LoadedSchedulerConfig load_scheduler_config(const std::filesystem::path& path) {
    const auto json = Json::parse(without_bare_words(read_file(path)), nullptr, false);
    if (!json.is_object()) fail(ErrorCode::kInvalidModel, path.string() + ": expected a JSON object");
    LoadedSchedulerConfig loaded;
    loaded.type = read_class(json, path.string());
    loaded.config = parse_scheduler_config(json, path.string(), &loaded.unknown_keys);
    return loaded;
}

}  // namespace sdxl
