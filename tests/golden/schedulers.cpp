// Scheduler trajectories against diffusers'.
//
// {"cases": [{scheduler, config{}, steps, init_noise_sigma, timesteps[], sigmas[]?, add_noise{index,
// result[]}?, trajectory[{t, scaled_input[], prev_sample[], mean_abs}]}]}. Neither a network nor random
// numbers are needed:
//     model(x, t)   = 0.6 sin(1.3 x + t / 500) + 0.1 x    in double, then float
//     noise draw k  = cos(0.7 i + 1.9 k)                   over the flat index i, k counting draws from 0
//     x_init        = init_noise_sigma sin(0.37 i + 0.2)   over 64 values (1, 4, 4, 4)
//     add_noise     : original sin(0.11 i), noise cos(0.23 i)
// Lists of values are the first ones only; mean_abs is over all 64.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>

#include "commands.h"
#include "core/error.h"
#include "fixture.h"
#include "report.h"
#include "sampling/scheduler_registry.h"

namespace sdxl::golden {
namespace {

using Json = nlohmann::json;

constexpr double kLimit = 1e-5;  // of |found - expected| / max(1, |expected|)
constexpr std::size_t kValues = 64;

template <class Formula>
std::vector<float> values_of(Formula formula, std::size_t count = kValues) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(formula(static_cast<double>(i)));
    return values;
}

class FixedNoise final : public NoiseSource {
  public:
    std::vector<float> normal(std::int64_t count) override {
        const int k = draws_++;
        return values_of([k](double i) { return std::cos(0.7 * i + 1.9 * k); },
                         static_cast<std::size_t>(count));
    }

  private:
    int draws_ = 0;
};

std::vector<float> fixed_model(const std::vector<float>& sample, double t) {
    return values_of([&](double i) {
        const double x = sample[static_cast<std::size_t>(i)];
        return 0.6 * std::sin(1.3 * x + t / 500) + 0.1 * x;
    });
}

double mean_abs(const std::vector<float>& sample) {
    double sum = 0;
    for (const float value : sample) sum += std::abs(value);
    return sum / static_cast<double>(sample.size());
}

// The configuration where it differs from the usual SDXL one.
std::string case_name(std::size_t index, const Json& entry) {
    static const std::set<std::string> usual = {"num_train_timesteps", "beta_start", "beta_end",
                                                "beta_schedule", "steps_offset"};
    std::string name = "#";
    name += std::to_string(index) + ' ' + entry.at("scheduler").get<std::string>() + ' ' +
            std::to_string(entry.at("steps").get<int>()) + " steps";
    for (const auto& [key, value] : entry.at("config").items())
        if (!usual.contains(key)) name += " " + key + "=" + value.dump();
    return name;
}

// The worst error so far and what it was found in.
struct Worst {
    double error = 0;
    std::string where = "";

    void add(double found, const std::string& what) {
        if (found > error) {
            error = found;
            where = "worst in " + what;
        }
    }
    void add_scalar(double found, double expected, const std::string& what) {
        const auto value = static_cast<float>(found);
        add(relative_error({&value, 1}, {{expected}}), what);
    }
    void add_list(std::span<const float> found, const std::vector<double>& expected,
                  const std::string& what) {
        add(relative_error(found, expected), what);
    }
};

void check_schedule(const Scheduler& scheduler, const Json& entry, Worst& worst) {
    const auto timesteps = numbers(entry, "timesteps");
    if (timesteps.size() != scheduler.timesteps().size())
        fail(ErrorCode::kInternal, "has " + std::to_string(scheduler.timesteps().size()) +
                                       " timesteps, expected " + std::to_string(timesteps.size()));
    worst.add_list(scheduler.timesteps(), timesteps, "timesteps");
    if (entry.contains("sigmas")) {
        auto sigmas = numbers(entry, "sigmas");
        // diffusers' KDPM2 schedulers repeat the final 0.
        while (sigmas.size() > scheduler.sigmas().size() && sigmas.back() == 0) sigmas.pop_back();
        worst.add_list(scheduler.sigmas(), sigmas, "sigmas");
    }
    worst.add_scalar(scheduler.init_noise_sigma(), entry.at("init_noise_sigma").get<double>(),
                     "init_noise_sigma");
    if (const auto noisy = entry.find("add_noise"); noisy != entry.end()) {
        const auto original = values_of([](double i) { return std::sin(0.11 * i); });
        const auto noise = values_of([](double i) { return std::cos(0.23 * i); });
        worst.add_list(scheduler.add_noise(original, noise, noisy->at("index").get<int>()),
                       numbers(*noisy, "result"), "add_noise");
    }
}

void check_trajectory(Scheduler& scheduler, const Json& entry, Worst& worst) {
    const float start = scheduler.init_noise_sigma();
    auto sample = values_of([](double i) { return std::sin(0.37 * i + 0.2); });
    for (float& value : sample) value *= start;
    FixedNoise noise;
    int index = 0;
    for (const auto& expected : entry.at("trajectory")) {
        const std::string at = " at step " + std::to_string(index);
        const auto input = scheduler.scale_model_input(sample, index);
        worst.add_list(input, numbers(expected, "scaled_input"), "scaled_input" + at);
        const auto t = static_cast<double>(scheduler.timesteps().at(static_cast<std::size_t>(index)));
        sample = scheduler.step(fixed_model(input, t), index, sample, noise);
        worst.add_list(sample, numbers(expected, "prev_sample"), "prev_sample" + at);
        worst.add_scalar(mean_abs(sample), expected.at("mean_abs").get<double>(), "mean_abs" + at);
        ++index;
    }
}

void check_case(std::size_t index, const Json& entry, Report& report) {
    const std::string name = case_name(index, entry);
    const auto class_name = entry.at("scheduler").get<std::string>();
    const auto choice = parse_scheduler(class_name);
    if (!choice || scheduler_class_name(choice->type) != class_name) {
        report.not_covered(class_name, "is not built (" + name + ")");
        return;
    }
    try {
        std::vector<std::string> unknown;
        const auto config = parse_scheduler_config(entry.at("config"), "config", &unknown);
        if (!unknown.empty()) return report.fail(name, "unknown configuration key " + unknown.front());
        const auto scheduler = make_scheduler(choice->type, config);
        scheduler->set_timesteps(entry.at("steps").get<int>());
        Worst worst;
        check_schedule(*scheduler, entry, worst);
        check_trajectory(*scheduler, entry, worst);
        report.compare(name, worst.error, kLimit, worst.error > kLimit ? worst.where : "");
    } catch (const Failure& failure) {
        report.fail(name, failure.what());
    }
}

}  // namespace

int run_schedulers(const std::string& file) {
    const auto fixture = load_fixture(file);
    Report report;
    std::size_t index = 0;
    for (const auto& entry : fixture.at("cases")) check_case(index++, entry, report);
    return report.finish();
}

}  // namespace sdxl::golden
