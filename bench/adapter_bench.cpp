#include "adapter_bench.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include <nlohmann/json.hpp>

#include "backend/onednn/onednn_backend.h"
#include "core/error.h"
#include "core/host.h"
#include "pipeline/conditioning.h"
#include "pipeline/sampling_plan.h"
#include "timing.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
class TemporaryFolder {
  public:
    TemporaryFolder() { fs::create_directories(path_); }
    ~TemporaryFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const fs::path& path() const { return path_; }

  private:
    fs::path path_ = fs::temp_directory_path() / ("sdxl_bench_" + std::to_string(::getpid()));
};

bool is_attention(const std::string& tensor) {
    for (const char* leaf : {".to_q.weight", ".to_k.weight", ".to_v.weight", ".to_out.0.weight"})
        if (tensor.ends_with(leaf)) return true;
    return false;
}

// A LoRA in fp16 under kohya's names, of small random values.
void write_lora(const fs::path& path, const WeightMap& unet, int rank, unsigned seed) {
    nlohmann::json header;
    std::uint64_t at = 0;
    const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
        const auto bytes = static_cast<std::uint64_t>(rows * columns) * sizeof(f16_bits);
        header[name] = {{"dtype", "F16"}, {"shape", {rows, columns}}, {"data_offsets", {at, at + bytes}}};
        at += bytes;
    };
    for (const auto& [name, entry] : unet.entries()) {
        if (!is_attention(name)) continue;
        std::string module = name.substr(0, name.rfind(".weight"));
        std::replace(module.begin(), module.end(), '.', '_');
        add("lora_unet_" + module + ".lora_down.weight", rank, entry.view.shape[1]);
        add("lora_unet_" + module + ".lora_up.weight", entry.view.shape[0], rank);
    }
    const std::string text = header.dump();
    const std::uint64_t length = text.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text;
    std::mt19937 random(seed);
    std::vector<std::uint16_t> values(at / sizeof(std::uint16_t));
    // Half precision between 2^-8 and 2^-6, either sign.
    for (auto& value : values) {
        const unsigned bits = static_cast<unsigned>(random());
        value = static_cast<std::uint16_t>((bits & 0x87FFU) | 0x1C00U);
    }
    file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(at));
    if (!file) fail(ErrorCode::kIo, "cannot write " + path.string());
}

struct Figure {
    std::string what;
    double seconds = 0;
};

// Everything that stands between a request and its first step, but for the weights.
double first_step_seconds(Backend& backend, const SdxlModel& model) {
    GenerationRequest request;
    request.prompt = "a lighthouse on a cliff at dusk, waves below, long exposure, highly detailed";
    request.negative_prompt = "blurry, low quality";
    const Context ctx{backend, model.compute, nullptr, nullptr};
    return seconds_of([&] {
        Conditioning conditioning(ctx, model, request, plan_sampling(request, model).guidance());
        conditioning.for_batch(ctx, model, {true, false}, 1);
    });
}

Adapter read_adapter(const fs::path& path) {
    Adapter adapter;
    adapter.file = std::make_shared<const AdapterFile>(AdapterFile::open(path));
    adapter.hash = adapter.file->content_hash();
    return adapter;
}

void print(const std::vector<Figure>& figures, double loading, const AdapterBenchOptions& options,
           std::uint64_t lora_bytes, std::size_t changed) {
    std::printf("%s, %d cores, %s; LoRA of rank %d over %zu prepared weights, %.0f MB\n",
                processor_name().c_str(), processor_count(), options.precision.c_str(), options.rank, changed,
                static_cast<double>(lora_bytes) / 1e6);
    std::printf("%-44s %9s %12s\n", "", "seconds", "load / this");
    for (const Figure& figure : figures)
        std::printf("%-44s %9.3f %12.1f\n", figure.what.c_str(), figure.seconds, loading / figure.seconds);
    if (options.json.empty()) return;
    nlohmann::json json = {{"model", options.model}, {"rank", options.rank}, {"device", processor_name()}};
    for (const Figure& figure : figures) json["seconds"][figure.what] = figure.seconds;
    std::ofstream(options.json) << json.dump(2) << "\n";
}

}  // namespace

void run_adapter_bench(const AdapterBenchOptions& options) {
    const DType compute = options.precision == "bf16" ? DType::kBF16 : DType::kF32;
    const auto backend = make_onednn_backend();
    const CancelToken token;
    constexpr std::uint64_t kBudget = std::uint64_t{4} << 30U;
    std::shared_ptr<const SdxlModel> model;
    const auto load = [&] {
        return seconds_of(
            [&] { model = load_sdxl_model(options.model, *backend, {compute}, token, nullptr); });
    };
    // From scratch is once in a process: again, the system hands out pages that are there already.
    const double loading = load();
    const double encoding =
        std::min(first_step_seconds(*backend, *model), first_step_seconds(*backend, *model));

    const TemporaryFolder folder;
    AdaptedWeights& weights = *model->weights;
    double first = 0, fresh = 1e9, kept = 1e9, back = 1e9, reading = 1e9;
    std::size_t changed = 0;
    std::uint64_t lora_bytes = 0;
    for (int i = 0; i < options.repeat; ++i) {
        const fs::path path = folder.path() / ("lora" + std::to_string(i) + ".safetensors");
        write_lora(path, weights.part(AdapterPart::kUnet)->weights(), options.rank, static_cast<unsigned>(i));
        lora_bytes = fs::file_size(path);
        std::vector<AdapterUse> uses(1);
        const double read = seconds_of([&] {
            uses[0].adapter = read_adapter(path);
            weights.match(uses[0].adapter);
        });
        reading = std::min(reading, read);
        const double applied = read + seconds_of([&] { weights.apply(uses, kBudget, token); });
        if (i == 0) first = applied;
        fresh = std::min(fresh, applied);
        changed = weights.counts().changed;
        back = std::min(back, seconds_of([&] { weights.apply({}, kBudget, token); }));
        kept = std::min(kept, seconds_of([&] { weights.apply(uses, kBudget, token); }));
        weights.apply({}, kBudget, token);
    }
    model.reset();
    const double again = load();
    print({{"load the model from scratch", loading},
           {"load it again in the same process", again},
           {"encode the prompts for the first step", encoding},
           {"the first LoRA, weights ready", first},
           {"the quickest of the new LoRAs", fresh},
           {"  of it: read, check and match the file", reading},
           {"the same LoRA again, weights ready", kept},
           {"LoRA taken away, weights ready", back}},
          loading, options, lora_bytes, changed);
}

}  // namespace sdxl
