// Normal draws against torch's.
//
// {"mt19937": [{seed, n, first[], last[], second_call_first[]}], "philox": [{seed, call, values[]}]}: `first`
// and `last` are the ends of the first call for n values, `second_call_first` the start of a second one;
// `call` counts the calls that went before.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "commands.h"
#include "fixture.h"
#include "report.h"
#include "sampling/random.h"

namespace sdxl::golden {
namespace {

constexpr double kLimit = 1e-6;

void check_mt19937(const nlohmann::json& entry, Report& report) {
    const auto seed = entry.at("seed").get<std::uint64_t>();
    const auto count = entry.at("n").get<std::int64_t>();
    if (count < 0 || count > (1 << 26)) throw FixtureError("\"n\" is out of range");
    const auto source = make_noise_source(RngKind::kCpu, seed);
    const auto values = source->normal(count);
    const auto last = numbers(entry, "last");
    const std::size_t tail = std::min(values.size(), last.size());
    double error = relative_error(values, numbers(entry, "first"));
    error = std::max(error, relative_error(std::span(values).last(tail), last));
    if (entry.contains("second_call_first"))
        error = std::max(error, relative_error(source->normal(count), numbers(entry, "second_call_first")));
    report.compare("mt19937 seed " + std::to_string(seed) + " n " + std::to_string(count), error, kLimit);
}

void check_philox(const nlohmann::json& entry, Report& report) {
    const auto seed = entry.at("seed").get<std::uint64_t>();
    const auto call = entry.at("call").get<int>();
    const auto expected = numbers(entry, "values");
    const auto source = make_noise_source(RngKind::kPhilox, seed);
    const auto count = static_cast<std::int64_t>(expected.size());
    for (int i = 0; i < call; ++i) source->normal(count);
    report.compare("philox seed " + std::to_string(seed) + " call " + std::to_string(call),
                   relative_error(source->normal(count), expected), kLimit);
}

}  // namespace

int run_rng(const std::string& file) {
    const auto fixture = load_fixture(file);
    Report report;
    for (const auto& [kind, cases] : fixture.items()) {
        if (kind == "about") continue;
        if (kind != "mt19937" && kind != "philox") {
            report.not_covered(kind, "no generator of this name");
            continue;
        }
        for (const auto& entry : cases) (kind == "philox" ? check_philox : check_mt19937)(entry, report);
    }
    return report.finish();
}

}  // namespace sdxl::golden
