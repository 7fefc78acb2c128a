#include "device_bench.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "backend/plugin_loader.h"
#include "core/error.h"
#include "device/measure.h"
#include "engine/device_engines.h"
#include "pipeline/generation.h"
#include "timing.h"

namespace sdxl {
namespace {

using Json = nlohmann::json;
// --- pictures, through the engine

struct Way {
    const char* name;
    const char* device;  // "": the one that is looked at
    Precision precision;
    bool eager;
    MemoryWish MemoryWishes::*wish;
    int most;  // what a value of 0..255 may differ by from that of the way before it that is `compared` to
    const char* compared;
};

// The same kernels in another order of work give the same bits; other kernels round otherwise.
constexpr Way kWays[] = {
    {"cpu fp32", "cpu", Precision::kF32, true, nullptr, 0, ""},
    {"fp32 eager", "", Precision::kF32, true, nullptr, 2, "cpu fp32"},
    {"fp32", "", Precision::kF32, false, nullptr, 0, "fp32 eager"},
    {"fp32 leaves", "", Precision::kF32, false, &MemoryWishes::cpu_offload, 0, "fp32 eager"},
    {"fp32 streams", "", Precision::kF32, false, &MemoryWishes::sequential_cpu_offload, 0, "fp32 eager"},
    {"bf16 eager", "", Precision::kBF16, true, nullptr, 26, "cpu fp32"},
    {"bf16", "", Precision::kBF16, false, nullptr, 0, "bf16 eager"},
    {"bf16 streams", "", Precision::kBF16, false, &MemoryWishes::sequential_cpu_offload, 0, "bf16 eager"},
};

GenerationResult make_picture(const DeviceBenchOptions& options, const Way& way) {
    EngineConfig config;
    config.devices.device = *way.device != '\0' ? way.device : options.device;
    config.devices.torch_library = options.library;
    if (*way.device == '\0') config.devices.backend = "torch";
    config.eager = way.eager;
    const auto engine = make_engine(config);
    GenerationRequest request;
    request.model = options.micro;
    request.prompt = "a red circle and a blue square";
    request.negative_prompt = "blurry";
    request.width = request.height = 256;
    request.steps = 6;
    request.guidance_scale = 5;
    request.seed = 7;
    request.precision = way.precision;
    request.keep_pixels = true;
    if (way.wish != nullptr) request.memory.*way.wish = MemoryWish::kOn;
    std::promise<Result<GenerationResult>> promise;
    engine->submit(request, JobContext{},
                   JobDone<GenerationResult>([&](auto result) { promise.set_value(std::move(result)); }));
    auto result = promise.get_future().get();
    if (!result.ok()) throw Failure(result.error());
    return std::move(*result);
}

int largest_difference(const Image& a, const Image& b) {
    if (a.pixels.size() != b.pixels.size()) return 255;
    int largest = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i)
        largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
    return largest;
}

bool compare_pictures(const DeviceBenchOptions& options, Json& json) {
    std::printf("\n%-14s %8s %9s %8s %8s %8s\n", "picture", "steps s", "replayed", "differs", "at most", "");
    std::map<std::string, std::shared_ptr<const Image>> made;
    bool all_well = true;
    for (const Way& way : kWays) {
        const GenerationResult result = make_picture(options, way);
        const auto picture = made[way.name] = result.images.at(0).pixels;
        const bool compares = *way.compared != '\0';
        const int found = compares ? largest_difference(*picture, *made.at(way.compared)) : 0;
        const bool well = found <= way.most;
        all_well = all_well && well;
        std::printf("%-14s %8.3f %9d %8d %8d %8s\n", way.name, result.denoise_seconds, result.replayed_steps,
                    found, way.most, well ? "ok" : "WRONG");
        for (const auto& warning : result.warnings) std::printf("    %s\n", warning.c_str());
        std::fflush(stdout);
        json.push_back({{"way", way.name},
                        {"denoise_seconds", result.denoise_seconds},
                        {"replayed_steps", result.replayed_steps},
                        {"difference", found},
                        {"at_most", way.most},
                        {"warnings", result.warnings}});
    }
    return all_well;
}

// --- speed, of the model's parts

class Speed {
  public:
    Speed(const DeviceBenchOptions& options, Backend& backend)
        : options_(options),
          backend_(backend),
          form_{options.precision == "fp32"      ? DType::kF32
                : backend.supports(DType::kBF16) ? DType::kBF16
                                                 : DType::kF16} {}

    Json run() {
        const DeviceRates before = measure_rates(backend_);
        const double load = seconds_of(
            [&] { model_ = load_sdxl_model(options_.model, backend_, form_, CancelToken(), nullptr); });
        GenerationRequest request;
        request.prompt = "a lighthouse on a cliff at dusk, waves below, long exposure";
        request.negative_prompt = "blurry, low quality";
        request.width = request.height = options_.size;
        request.steps = 100;
        request.guidance_scale = 7;
        const Context ctx{backend_, form_.compute};
        const double text = seconds_of([&] { conditioning_.emplace(ctx, *model_, request, true); });
        generation_.emplace(*model_, request, PictureInputs{}, 1);
        generation_->prepare(ctx, *model_->vae);
        std::printf("\n%s, %d x %d with guidance, %s; load %.1f s, prompts %.2f s\n", options_.device.c_str(),
                    options_.size, options_.size, std::string(dtype_name(form_.compute)).c_str(), load, text);
        time_steps(ctx);
        time("vae_decode", ctx, [&](const Context& c) { model_->vae->decode(c, generation_->latents()); });
        const DeviceRates after = measure_rates(backend_);
        const auto rate = [&](const DeviceRates& r) {
            return form_.compute == DType::kF32 ? r.float32_tflops : r.sixteen_tflops;
        };
        print(std::max(rate(before), rate(after)), std::max(before.bandwidth_gb_s, after.bandwidth_gb_s));
        return {{"load_seconds", load}, {"text_seconds", text}, {"peak_tflops", peak_}, {"stages", stages_}};
    }

  private:
    void time_steps(const Context& ctx) {
        const auto step = [&](const Context& c) {
            SdxlGeneration* one = &*generation_;
            if (!step_together(c, *model_, *conditioning_, std::span(&one, 1)))
                fail(ErrorCode::kInternal, "the UNet's results are not numbers");
        };
        WeightPlacement& unet = model_->weights->part(AdapterPart::kUnet)->placement();
        if (model_->recorder) model_->recorder->allow(false);
        time("step, eager", ctx, step);
        if (model_->recorder) {
            model_->recorder->allow(true);
            time("step, replayed", ctx, step);
            if (!model_->recorder->recorded())
                std::printf("    not recorded: %s\n", model_->recorder->failure().c_str());
            model_->recorder->end();
        }
        unet.stream(unet.resident_bytes() / 2);
        time("step, half streamed", ctx, step);
        unet.stream(0);
        time("step, streamed", ctx, step);
        unet.stay();
        unet.drop_all();
        backend_.release_cached_memory();
    }

    // Two runs to warm up (the second is what a recorder records), then the best; FLOP from a traced one.
    template <class Work>
    void time(const char* name, const Context& ctx, const Work& work) {
        const double first = seconds_of([&] { work(ctx); });
        const double second = seconds_of([&] { work(ctx); });
        double best = second;
        for (int i = 0; i < options_.repeat; ++i) best = std::min(best, seconds_of([&] { work(ctx); }));
        if (gflop_.find(kind_of(name)) == gflop_.end()) {
            Trace trace;
            Context traced = ctx;
            traced.trace = &trace;
            work(traced);
            gflop_[kind_of(name)] = static_cast<double>(trace.total().operations) / 1e9;
        }
        stages_.push_back({{"name", name},
                           {"first_seconds", first},
                           {"second_seconds", second},
                           {"seconds", best},
                           {"tflops", gflop_[kind_of(name)] / best / 1e3}});
    }
    static std::string kind_of(const std::string& name) { return name.substr(0, name.find(',')); }

    void print(double peak, double bandwidth) {
        peak_ = peak;
        std::printf("peak: %.1f TFLOP/s (best matmul of this run), %.0f GB/s\n\n", peak, bandwidth);
        std::printf("%-20s %9s %9s %9s %9s %7s\n", "stage", "first s", "second s", "best s", "TFLOP/s",
                    "/ peak");
        for (const Json& stage : stages_)
            std::printf("%-20s %9.4f %9.4f %9.4f %9.1f %7.2f\n", stage["name"].get<std::string>().c_str(),
                        stage["first_seconds"].get<double>(), stage["second_seconds"].get<double>(),
                        stage["seconds"].get<double>(), stage["tflops"].get<double>(),
                        stage["tflops"].get<double>() / peak);
    }

    const DeviceBenchOptions& options_;
    Backend& backend_;
    WeightForm form_;
    std::shared_ptr<const SdxlModel> model_;
    std::optional<Conditioning> conditioning_;
    std::optional<SdxlGeneration> generation_;
    std::map<std::string, double> gflop_;
    std::vector<Json> stages_;
    double peak_ = 0;
};

}  // namespace

bool run_device_bench(const DeviceBenchOptions& options) {
    Json json = {{"device", options.device}, {"pictures", Json::array()}};
    const bool well = options.micro.empty() || compare_pictures(options, json["pictures"]);
    if (!options.model.empty()) {
        BackendPlugin& plugin = load_backend_plugin(options.library.empty() ? kTorchPlugin : options.library);
        const auto backend = plugin.open(options.device);
        json["library"] = plugin.description();
        json["speed"] = Speed(options, *backend).run();
    }
    if (!options.json.empty()) {
        std::ofstream file(options.json);
        file << json.dump(2) << "\n";
        if (!file.good()) fail(ErrorCode::kIo, "cannot write " + options.json);
    }
    return well;
}

}  // namespace sdxl
