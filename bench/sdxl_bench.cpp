// sdxl-bench: how fast each stage of SDXL runs, next to what this machine can do at its best, in one run.
//
// The peak is the best rate of large oneDNN matmuls, measured before every stage and once more at the end, so
// that it and the stages see the same weather on a shared machine. Every stage runs once to warm up
// (primitives are made then), then --repeat times; the best time counts, the median stands beside it. FLOP
// are counted from shapes: multiplications and additions of products, convolutions and attention.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "adapter_bench.h"
#include "backend/onednn/onednn_backend.h"
#include "core/cancel_token.h"
#include "core/error.h"
#include "core/host.h"
#include "device_bench.h"
#include "memory_bench.h"
#include "ops/ops.h"
#include "pipeline/generation.h"
#include "random_model.h"
#include "timing.h"

namespace {

using namespace sdxl;
// Best rate of square-ish matmuls, in GFLOP/s; of int8 weights with what quantises the activations.
class Peak {
  public:
    explicit Peak(Backend& backend) : backend_(backend) {}

    void measure() {
        bf16 = std::max(bf16, best_rate({DType::kBF16}));
        f32 = std::max(f32, best_rate({DType::kF32}));
        if (backend_.supports_int8(DType::kBF16)) int8 = std::max(int8, best_rate({DType::kBF16, true}));
    }
    double of(const std::string& precision) const {
        if (precision == "int8") return int8;
        return precision == "bf16" ? bf16 : f32;
    }

    double bf16 = 0;
    double f32 = 0;
    double int8 = 0;  // 0: not on this machine

  private:
    double best_rate(WeightForm form) {
        struct Product {
            std::int64_t m, k, n;
        };
        const Product products[] = {{2048, 2048, 2048}, {1024, 1280, 5120}, {512, 5120, 1280}};
        double best = 0;
        for (const auto& [m, k, n] : products) {
            const std::vector<float> values(static_cast<std::size_t>(k * n), 0.5F);
            const HostView view{
                reinterpret_cast<const std::byte*>(values.data()), DType::kF32, {n, k}, "peak"};
            const WeightPtr weight = backend_.prepare_linear({{view}, {}}, form);
            const Tensor x = backend_.upload(std::vector<float>(static_cast<std::size_t>(m * k), 0.5F),
                                             {m, k}, form.compute);
            constexpr int kRuns = 8;
            for (int run = 0; run < kRuns; ++run) {
                const double seconds =
                    seconds_of([&] { backend_.linear(x, *weight, Activation::kNone, Tensor()); });
                best = std::max(best, 2.0 * static_cast<double>(m * k * n) / seconds / 1e9);
            }
        }
        backend_.release_cached_memory();
        return best;
    }

    Backend& backend_;
};

struct StageResult {
    std::string name;
    double seconds = 0;
    double median_seconds = 0;
    double first_seconds = 0;
    double gflop = 0;
    std::uint64_t peak_rss_bytes = 0;
    std::vector<Trace::Entry> top;
    double traced_seconds = 0;

    double gflops() const { return gflop / seconds; }
};

using StageWork = std::function<void(const Context&)>;

StageResult run_stage(const std::string& name, Backend& backend, DType compute, int repeat,
                      const StageWork& work) {
    StageResult result;
    result.name = name;
    reset_peak_memory();
    const Context plain{backend, compute, nullptr, nullptr};
    result.first_seconds = seconds_of([&] { work(plain); });
    std::vector<double> times;
    for (int run = 0; run < repeat; ++run) times.push_back(seconds_of([&] { work(plain); }));
    std::sort(times.begin(), times.end());
    result.seconds = times.front();
    result.median_seconds = times[times.size() / 2];
    Trace trace;
    const Context traced{backend, compute, nullptr, &trace};
    work(traced);
    result.gflop = static_cast<double>(trace.total().operations) / 1e9;
    result.traced_seconds = trace.total().seconds;
    result.top = trace.top(10);
    result.peak_rss_bytes = process_memory().peak_resident_bytes;
    backend.release_cached_memory();
    return result;
}

struct Options {
    std::string model;
    std::string json;
    std::vector<std::string> precisions = {"bf16"};
    std::string precision;  // the one of them that runs
    std::string stage;      // empty: all
    int size = 512;
    int repeat = 3;
    int pictures = 1;
};

GenerationRequest request_of(const Options& options) {
    GenerationRequest request;
    request.prompt = "a lighthouse on a cliff at dusk, waves below, long exposure, highly detailed";
    request.negative_prompt = "blurry, low quality";
    request.width = options.size;
    request.height = options.size;
    request.steps = 30;
    return request;
}

std::vector<StageResult> run_stages(const Options& options, Backend& backend, const SdxlModel& model,
                                    Peak& peak) {
    const GenerationRequest request = request_of(options);
    const Context ctx{backend, model.compute, nullptr, nullptr};
    std::vector<StageResult> stages;
    const auto time = [&](const char* name, const StageWork& work) {
        if (!options.stage.empty() && options.stage != name) return;
        peak.measure();
        stages.push_back(run_stage(name, backend, model.compute, options.repeat, work));
    };
    time("text_encoding", [&](const Context& c) { Conditioning(c, model, request, true); });
    Conditioning conditioning(ctx, model, request, true);
    std::vector<std::unique_ptr<SdxlGeneration>> pictures;
    std::vector<SdxlGeneration*> together;
    for (int i = 0; i < options.pictures; ++i) {
        pictures.push_back(std::make_unique<SdxlGeneration>(model, request, PictureInputs{}, 1 + i));
        pictures.back()->prepare(ctx, *model.vae);
        together.push_back(pictures.back().get());
    }
    time("unet_step", [&](const Context& c) { step_together(c, model, conditioning, together); });
    time("vae_decode", [&](const Context& c) { model.vae->decode(c, pictures.front()->latents()); });
    peak.measure();
    return stages;
}

void print_table(const Options& options, const std::vector<StageResult>& stages, const Peak& peak,
                 double load_seconds, std::uint64_t peak_rss) {
    std::printf("%s, %d cores; %d x %d, guidance, %s\n", processor_name().c_str(), processor_count(),
                options.size, options.size, options.precision.c_str());
    std::printf("peak (best matmul): bf16 %.0f GFLOP/s, fp32 %.0f GFLOP/s", peak.bf16, peak.f32);
    if (peak.int8 > 0) std::printf(", int8 %.0f GOP/s", peak.int8);
    std::printf("\n");
    std::printf("load: %.1f s\n\n", load_seconds);
    const double top_rate = peak.of(options.precision);
    std::printf("%-14s %9s %9s %9s %10s %9s %7s %9s\n", "stage", "best s", "median s", "first s", "GFLOP",
                "GFLOP/s", "/ peak", "RSS GB");
    for (const auto& stage : stages)
        std::printf("%-14s %9.3f %9.3f %9.3f %10.1f %9.1f %7.2f %9.2f\n", stage.name.c_str(), stage.seconds,
                    stage.median_seconds, stage.first_seconds, stage.gflop, stage.gflops(),
                    stage.gflops() / top_rate, static_cast<double>(stage.peak_rss_bytes) / 1e9);
    std::printf("\npeak resident memory: %.2f GB\n", static_cast<double>(peak_rss) / 1e9);
    for (const auto& stage : stages) {
        std::printf("\n%s: most expensive ops (one traced run, %.3f s in ops)\n", stage.name.c_str(),
                    stage.traced_seconds);
        std::printf("  %-16s %-52s %6s %9s %6s %9s %7s\n", "op", "shapes", "calls", "s", "%", "GFLOP/s",
                    "/ peak");
        for (const auto& entry : stage.top) {
            const double rate = static_cast<double>(entry.operations) / 1e9 / entry.seconds;
            std::printf("  %-16s %-52s %6llu %9.3f %6.1f %9.1f %7.2f\n", entry.op.c_str(),
                        entry.shapes.c_str(), static_cast<unsigned long long>(entry.count), entry.seconds,
                        100.0 * entry.seconds / stage.traced_seconds, rate, rate / top_rate);
        }
    }
}

nlohmann::json json_of(const Options& options, const std::vector<StageResult>& stages, const Peak& peak,
                       double load_seconds, std::uint64_t peak_rss) {
    const double top_rate = peak.of(options.precision);
    nlohmann::json json = {{"model", options.model},
                           {"size", options.size},
                           {"precision", options.precision},
                           {"device", processor_name()},
                           {"cores", processor_count()},
                           {"peak_gflops", {{"bf16", peak.bf16}, {"fp32", peak.f32}, {"int8", peak.int8}}},
                           {"load_seconds", load_seconds},
                           {"peak_rss_bytes", peak_rss},
                           {"stages", nlohmann::json::array()}};
    for (const auto& stage : stages)
        json["stages"].push_back({{"name", stage.name},
                                  {"seconds", stage.seconds},
                                  {"median_seconds", stage.median_seconds},
                                  {"first_seconds", stage.first_seconds},
                                  {"gflop", stage.gflop},
                                  {"gflops", stage.gflops()},
                                  {"over_peak", stage.gflops() / top_rate},
                                  {"peak_rss_bytes", stage.peak_rss_bytes}});
    return json;
}

// What the UNet makes of noise in the middle of the schedule, to compare precisions by.
std::vector<float> predict(const Context& ctx, const SdxlModel& model, const Options& options) {
    Conditioning conditioning(ctx, model, request_of(options), true);
    const Shape shape{2, options.size / 8, options.size / 8, model.unet->config().in_channels};
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> noise(static_cast<std::size_t>(shape.numel()));
    for (float& value : noise) value = normal(random);
    const std::vector<float> times{500, 500};
    return ops::download(ctx, model.unet->forward(ctx, ops::upload(ctx, noise, shape), times,
                                                  conditioning.for_batch(ctx, model, {true, false}, 1)));
}

double relative_l2(const std::vector<float>& found, const std::vector<float>& expected) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double value = static_cast<double>(expected[i]);
        difference += std::pow(static_cast<double>(found[i]) - value, 2);
        norm += value * value;
    }
    return std::sqrt(difference / norm);
}

struct Measured {
    std::vector<StageResult> stages;
    std::vector<float> prediction;  // where several precisions are compared
};

// Loads the model, times its stages and prints them.
Measured run_precision(const Options& options, nlohmann::json& json) {
    const DType compute = options.precision == "fp32" ? DType::kF32 : DType::kBF16;
    const auto backend = make_onednn_backend();
    const CancelToken token;
    std::shared_ptr<const SdxlModel> model;
    reset_peak_memory();
    const WeightForm form{compute, options.precision == "int8"};
    const double load_seconds =
        seconds_of([&] { model = load_sdxl_model(options.model, *backend, form, token, nullptr); });
    std::uint64_t peak_rss = process_memory().peak_resident_bytes;
    Peak peak(*backend);
    Measured measured{run_stages(options, *backend, *model, peak), {}};
    const auto& stages = measured.stages;
    for (const auto& stage : stages) peak_rss = std::max(peak_rss, stage.peak_rss_bytes);
    print_table(options, stages, peak, load_seconds, peak_rss);
    json = json_of(options, stages, peak, load_seconds, peak_rss);
    if (options.precisions.size() > 1)
        measured.prediction = predict({*backend, compute, nullptr, nullptr}, *model, options);
    return measured;
}

// One precision after the other in one process, so that they see the same weather.
void run(const Options& options) {
    nlohmann::json json = nlohmann::json::array();
    std::vector<Measured> results;
    for (const std::string& precision : options.precisions) {
        Options one = options;
        one.precision = precision;
        if (!results.empty()) std::printf("\n");
        results.push_back(run_precision(one, json.emplace_back()));
    }
    for (std::size_t p = 1; p < results.size(); ++p) {
        std::printf("\n%-14s %10s %10s %10s\n", "seconds", options.precisions[0].c_str(),
                    options.precisions[p].c_str(), "ratio");
        const Measured &first = results[0], &other = results[p];
        for (std::size_t i = 0; i < other.stages.size(); ++i)
            std::printf("%-14s %10.3f %10.3f %10.2f\n", other.stages[i].name.c_str(), first.stages[i].seconds,
                        other.stages[i].seconds, first.stages[i].seconds / other.stages[i].seconds);
        std::printf("UNet's output on noise: relative L2 from %s %.4f\n", options.precisions[0].c_str(),
                    relative_l2(other.prediction, first.prediction));
    }
    if (options.json.empty()) return;
    std::ofstream file(options.json);
    file << (json.size() == 1 ? json[0] : json).dump(2) << "\n";
    if (!file.good()) fail(ErrorCode::kIo, "cannot write " + options.json);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times the stages of SDXL against this machine's peak and says where the time goes.");
    Options options;
    app.add_option("--model", options.model, "checkpoint or diffusers folder");
    app.add_option("--size", options.size, "picture width and height in pixels")->check(CLI::Range(64, 4096));
    app.add_option("--precision", options.precisions,
                   "bf16, fp32 or int8 (weights; the rest in bf16); several run one after the other")
        ->delimiter(',')
        ->check(CLI::IsMember({"bf16", "fp32", "int8"}));
    app.add_option("--stage", options.stage, "only this one")
        ->check(CLI::IsMember({"text_encoding", "unet_step", "vae_decode"}));
    app.add_option("--repeat", options.repeat, "timed runs of each stage after one to warm up")
        ->check(CLI::Range(1, 26));
    app.add_option("--pictures", options.pictures, "How many share a call of the UNet");
    app.add_option("--json", options.json, "write the same figures to this file");
    AdapterBenchOptions of_adapters;
    CLI::App* adapters = app.add_subcommand("adapters", "How long a LoRA takes, next to loading the model.");
    adapters->add_option("--model", of_adapters.model, "checkpoint or diffusers folder")->required();
    adapters->add_option("--precision", of_adapters.precision, "bf16 or fp32")
        ->check(CLI::IsMember({"bf16", "fp32"}));
    adapters->add_option("--rank", of_adapters.rank, "of the LoRA")->check(CLI::Range(1, 1024));
    adapters->add_option("--repeat", of_adapters.repeat, "how often; the best counts")
        ->check(CLI::Range(1, 26));
    adapters->add_option("--json", of_adapters.json, "write the same figures to this file");
    MemoryBenchOptions of_memory;
    CLI::App* memory =
        app.add_subcommand("memory", "What pictures take, planned and measured, and what taking less costs.");
    memory->add_option("--model", of_memory.model, "checkpoint or diffusers folder")->required();
    memory->add_option("--sizes", of_memory.sizes, "widths of the pictures, which are square");
    memory->add_option("--precisions", of_memory.precisions, "of bf16, int8, fp32");
    memory->add_option("--weights", of_memory.weights, "of stays, tiles, leaves, streams")
        ->check(CLI::IsMember({"stays", "tiles", "leaves", "streams"}));
    memory->add_option("--steps", of_memory.steps, "of each picture")->check(CLI::Range(1, 100));
    memory->add_option("--json", of_memory.json, "write the same figures to this file");
    DeviceBenchOptions of_device;
    CLI::App* device =
        app.add_subcommand("device", "Whether a device draws what the CPU does, and how fast its steps are.");
    device->add_option("--device", of_device.device, "as the worker's")->capture_default_str();
    device->add_option("--library", of_device.library, "libsdxl_torch.so, in place of the one beside this");
    device->add_option("--micro", of_device.micro,
                       "small model whose pictures are compared; absent: none are");
    device->add_option("--model", of_device.model, "model whose steps are timed; absent: none are");
    device->add_option("--size", of_device.size, "picture width and height in pixels")
        ->check(CLI::Range(64, 4096));
    device->add_option("--precision", of_device.precision, "bf16 or fp32")
        ->check(CLI::IsMember({"bf16", "fp32"}));
    device->add_option("--repeat", of_device.repeat, "timed runs of each stage after two to warm up")
        ->check(CLI::Range(1, 12));
    device->add_option("--json", of_device.json, "write the same figures to this file");
    std::string random_model;
    CLI::App* make_model = app.add_subcommand(
        "make-model", "Writes a checkpoint of SDXL's names and shapes with random weights, 6.94 GB.");
    make_model->add_option("file", random_model, "the .safetensors file to write")->required();
    app.callback([&] {
        if (app.get_subcommands().empty() && options.model.empty()) throw CLI::RequiredError("--model");
    });
    CLI11_PARSE(app, argc, argv);
    try {
        if (*adapters)
            run_adapter_bench(of_adapters);
        else if (*memory)
            run_memory_bench(of_memory);
        else if (*device)
            return run_device_bench(of_device) ? 0 : 1;
        else if (*make_model)
            make_random_model(random_model);
        else
            run(options);
        return 0;
    } catch (...) {
        std::fprintf(stderr, "sdxl-bench: %s\n", current_error().message.c_str());
        return 1;
    }
}
