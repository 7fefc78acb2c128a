#include "memory_bench.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/host.h"
#include "engine/device_engines.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Combination {
    std::string precision;
    std::string placement;
    int size = 0;
};

GenerationRequest request_for(const Combination& combination, const MemoryBenchOptions& options) {
    GenerationRequest request;
    request.model = options.model;
    request.prompt = "a lighthouse at dusk";
    request.negative_prompt = "blurry";
    request.width = request.height = combination.size;
    request.steps = options.steps;
    request.guidance_scale = 7;
    request.precision = parse_precision(combination.precision).value_or(Precision::kAuto);
    if (combination.placement == "tiles") request.memory.vae_tiling = MemoryWish::kOn;
    if (combination.placement == "leaves") request.memory.cpu_offload = MemoryWish::kOn;
    if (combination.placement == "streams") request.memory.sequential_cpu_offload = MemoryWish::kOn;
    request.keep_pixels = true;
    return request;
}

// In a child, which prints its figures as a line of JSON.
Json measure(const Combination& combination, const MemoryBenchOptions& options) {
    EngineConfig config;
    const auto engine = make_engine(config);
    std::promise<Result<GenerationResult>> promise;
    JobContext context;
    context.token = std::make_shared<CancelToken>();
    context.wish.every = 1;
    std::vector<double> times;
    context.progress = [&](const ProgressEvent& event) {
        if (event.stage == Stage::kDenoise) times.push_back(event.elapsed_seconds);
    };
    engine->submit(request_for(combination, options), std::move(context),
                   JobDone<GenerationResult>([&](auto result) { promise.set_value(std::move(result)); }));
    const auto result = promise.get_future().get();
    if (!result.ok()) return {{"error", result.error().message}};
    double step = result->denoise_seconds / options.steps;
    for (std::size_t i = 2; i < times.size(); ++i) step = std::min(step, times[i] - times[i - 1]);
    Json stages = Json::object();
    for (const StageMemory& stage : result->memory.stages) stages[stage.stage] = stage.bytes;
    return {{"estimated", result->memory.estimated_peak_bytes},
            {"measured", result->memory.measured_peak_bytes},
            {"stages", std::move(stages)},
            {"dtype", result->dtype},
            {"step_seconds", step},
            {"decode_seconds", result->decode_seconds},
            {"total_seconds", result->total_seconds},
            {"warnings", result->warnings}};
}

Json in_a_child(const Combination& combination, const MemoryBenchOptions& options) {
    int ends[2];
    if (::pipe(ends) != 0) fail(ErrorCode::kIo, "cannot make a pipe");
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) fail(ErrorCode::kIo, "cannot start a process");
    if (child == 0) {
        ::close(ends[0]);
        std::string line;
        try {
            line = measure(combination, options).dump();
        } catch (...) {
            line = Json{{"error", current_error().message}}.dump();
        }
        const auto written = ::write(ends[1], line.data(), line.size());
        ::_exit(written == static_cast<ssize_t>(line.size()) ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text;
    char part[4096];
    for (ssize_t count = 0; (count = ::read(ends[0], part, sizeof part)) > 0;)
        text.append(part, static_cast<std::size_t>(count));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    const Json figures = Json::parse(text, nullptr, false);
    if (!figures.is_object()) return {{"error", "the process ended without an answer"}};
    return figures;
}

double gib(const Json& bytes) {
    return bytes.get<double>() / static_cast<double>(std::uint64_t{1} << 30U);
}

void print(const Combination& combination, const Json& figures, double step_staying) {
    std::printf("| %-5s | %4d | %-7s | ", combination.precision.c_str(), combination.size,
                combination.placement.c_str());
    if (figures.contains("error")) {
        std::printf("%s |\n", figures["error"].get<std::string>().c_str());
        return;
    }
    const double estimated = gib(figures["estimated"]), measured = gib(figures["measured"]);
    const double step = figures["step_seconds"].get<double>();
    std::printf("%9.2f | %8.2f | %+5.1f %% | %7.2f | %6.2f | %7.2f |\n", estimated, measured,
                100 * (estimated / measured - 1), step, step_staying > 0 ? step / step_staying : 1.0,
                figures["decode_seconds"].get<double>());
    std::fflush(stdout);
}

}  // namespace

void run_memory_bench(const MemoryBenchOptions& options) {
    std::printf("%s, %d cores; %d steps with guidance and the decoding, GiB of the whole process\n\n",
                processor_name().c_str(), processor_count(), options.steps);
    std::printf(
        "| type  | size | weights | estimated | measured |    off  |  step s | / stays | decode s |\n");
    std::printf(
        "|-------|-----:|---------|----------:|---------:|--------:|--------:|-------:|---------:|\n");
    Json all = Json::array();
    for (const auto& precision : options.precisions)
        for (const int size : options.sizes) {
            double staying = 0;
            for (const std::string& placement : options.weights) {
                const Combination combination{precision, placement, size};
                Json figures = in_a_child(combination, options);
                if (staying == 0 && figures.contains("step_seconds"))
                    staying = figures["step_seconds"].get<double>();
                print(combination, figures, staying);
                figures["precision"] = precision;
                figures["size"] = size;
                figures["weights"] = placement;
                all.push_back(std::move(figures));
            }
        }
    if (options.json.empty()) return;
    std::ofstream file(options.json);
    file << Json{{"model", options.model}, {"device", processor_name()}, {"combinations", all}}.dump(2)
         << "\n";
    if (!file.good()) fail(ErrorCode::kIo, "cannot write " + options.json);
}

}  // namespace sdxl
