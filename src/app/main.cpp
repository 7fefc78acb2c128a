#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "app/devices.h"
#include "app/generate.h"
#include "app/options.h"
#include "app/serve.h"
#include "app/shipped_model.h"
#include "app/show.h"
#include "core/error.h"
#include "core/log.h"
#include "worker/worker.h"

namespace {

using namespace sdxl;

constexpr const char* kDescription =
    R"(Makes Stable Diffusion XL pictures for a host program.

Without a subcommand it reads one JSON request per line from stdin and writes one JSON answer per line to stdout; logs go
to stderr. Closing stdin ends it once everything is answered.)";

constexpr const char* kExamples =
    R"(Examples:
  sdxl-worker generate --models-dir models --model sdxl --prompt "a lighthouse at dusk" -o lighthouse.png
  sdxl-worker --models-dir models --output-dir out < requests.jsonl > answers.jsonl
  sdxl-worker generate --prompt "a red circle on a blue background" --show
  echo '{"message_type":"status_request","request_id":"1"}' | sdxl-worker

A model is a .safetensors or .ckpt file, a diffusers folder, or the name of one under the models folder.)";

void add_shared(CLI::App& app, AppOptions& options) {
    app.add_option("--models-dir", options.engine.models_dir, "folder in which models are found by name")
        ->capture_default_str();
    app.add_option(
           "--default-model", options.engine.default_model,
           "model of requests that name none where none is loaded, path or name; 'none': there is none; "
           "absent: the demo model that comes with this program")
        ->envname("SDXL_DEFAULT_MODEL");
    app.add_option("--output-dir", options.engine.output_dir,
                   "folder for pictures whose request names no path")
        ->capture_default_str();
    DeviceOptions& devices = options.engine.devices;
    app.add_option("--device", devices.device,
                   "device to run on, e.g. cpu, cuda:0, mps; absent: GPU_ID's, else the best there is");
    app.add_option("--backend", devices.backend,
                   "onednn (the CPU, fast), reference (the CPU, plain C++, slow) or torch (any device)");
    app.add_option("--torch-library", devices.torch_library,
                   "libsdxl_torch.so, which knows devices other than the CPU; absent: beside this program");
    app.add_option("--device-plugin", devices.device_library,
                   "library that brings PyTorch's PrivateUse1 device, which is then privateuseone:0");
    app.add_option("--profile-cache", devices.profile_cache,
                   "file with the rates that `devices --profile` measured, in place of the user's");
    app.add_option("--memory-gb", options.engine.memory_gb,
                   "gigabytes of memory that the worker may take; 0: what there is. With less it is slower")
        ->check(CLI::Range(0.0, 4096.0))
        ->capture_default_str();
    app.add_flag(
        "--eager", options.engine.eager,
        "ask the device for each op of each step, in place of replaying a recorded step (CUDA graphs)");
    app.add_flag("--confine", options.engine.confine,
                 "keep every path that a request names inside the models and output folders");
    app.add_option("--log-level", options.log_level, "DEBUG, INFO, WARNING or ERROR, to stderr")
        ->check([](const std::string& name) {
            return parse_log_level(name) ? "" : "not one of DEBUG, INFO, WARNING, ERROR";
        })
        ->capture_default_str();
}

// What matters to a host that writes requests to stdin.
void add_serving(CLI::App& app, AppOptions& options) {
    const std::string group = "Serving a host";
    app.add_option("--worker", options.session.default_worker, "worker that takes messages which name none")
        ->check(CLI::IsMember(worker_names()))
        ->capture_default_str()
        ->group(group);
    app.add_option("--on-eof", options.on_eof,
                   "when stdin ends: 'drain' finishes what was accepted, 'stop' cancels it")
        ->check(CLI::IsMember({"drain", "stop"}))
        ->capture_default_str()
        ->group(group);
    app.add_option("--queue-limit", options.session.queue_limit,
                   "requests that may wait; more are refused with queue_full (a file on stdin is read slower "
                   "instead)")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str()
        ->group(group);
    app.add_option("--priority-aging", options.engine.aging_seconds,
                   "seconds after which a waiting request rises by one priority, so that none starves")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str()
        ->group(group);
    app.add_option("--model-cache-gb", options.engine.model_cache_gb,
                   "gigabytes of models' weights that are kept ready for later requests; 0: as memory allows")
        ->check(CLI::Range(0.0, 4096.0))
        ->capture_default_str()
        ->group(group);
    app.add_option(
           "--adapter-cache-gb", options.engine.adapter_cache_gb,
           "gigabytes of weights under LoRAs that are kept for later requests, less where memory is short")
        ->check(CLI::Range(0.0, 1024.0))
        ->capture_default_str()
        ->group(group);
    app.add_option("--max-line-bytes", options.max_line_bytes, "longest request line")
        ->check(CLI::Range(std::size_t{256}, std::size_t{1} << 30))
        ->capture_default_str()
        ->group(group);
}

CLI::App* add_generate(CLI::App& app, GenerateOptions& wanted) {
    CLI::App* generate = app.add_subcommand("generate", "make one picture and print its path");
    generate->fallthrough();
    generate->add_option("--model,-m", wanted.model,
                         "model: path, or name under the models folder; absent: the default one");
    generate->add_option("--prompt,-p", wanted.prompt, "what to draw")->required();
    generate->add_option("--negative,-n", wanted.negative_prompt, "what not to draw");
    generate->add_option("--image,-i", wanted.image, "picture to start from: PNG, JPEG or WebP");
    generate->add_option("--mask", wanted.mask, "picture that is white where the other is redrawn");
    generate->add_option("--strength", wanted.strength, "how much of it is redrawn, 0 to 1");
    generate->add_option("--refiner", wanted.refiner, "model that takes over for the last steps");
    generate->add_option("--vae", wanted.vae, "VAE in place of the model's own");
    generate->add_option("--lora", wanted.loras, "LoRA, with its weight: NAME or NAME:0.8; may be repeated");
    generate->add_option(
        "--embedding", wanted.embeddings,
        "textual inversion, with its word in the prompts: NAME or NAME=WORD; may be repeated");
    generate->add_option(
        "--control", wanted.controls,
        "ControlNet with the picture it steers by: NAME=PICTURE, or NAME=PICTURE:canny to make "
        "that of a photograph; may be repeated");
    generate->add_option("--reference", wanted.references,
                         "picture whose look is taken up by the models folder's IP-Adapter; may be repeated");
    generate->add_option("--output,-o", wanted.output, "file to write: .png, .jpg or .webp");
    generate->add_option("--width", wanted.width,
                         "pixels, 64 to 4096 in steps of 8; absent: the picture's or the model's own");
    generate->add_option("--height", wanted.height, "as --width");
    generate->add_option("--steps", wanted.steps, "1 to 500");
    generate->add_option("--guidance", wanted.guidance, "0 to 50; at most 1 is none");
    generate->add_option("--seed", wanted.seed, "drawn where absent");
    generate->add_option("--scheduler", wanted.scheduler, "e.g. \"Euler a\" or \"DPM++ 2M Karras\"");
    generate->add_flag("--karras", wanted.karras, "Karras sigmas");
    generate->add_option("--spacing", wanted.spacing, "leading, trailing or linspace");
    generate->add_option("--rng", wanted.rng, "cpu (as torch on the CPU) or philox (as torch on CUDA)");
    generate->add_option("--precision", wanted.precision, "bf16, fp16, int8 (weights) or fp32");
    generate
        ->add_option("--offload", wanted.offload,
                     "take less memory: 'networks' (each leaves after its stage) or 'weights' (one by one)")
        ->check(CLI::IsMember({"networks", "weights"}));
    generate->add_flag("--show", wanted.show, "draw the picture on the terminal, too");
    return generate;
}

CLI::App* add_devices(CLI::App& app, DevicesOptions& wanted) {
    CLI::App* devices = app.add_subcommand("devices", "list the devices of this machine");
    devices->fallthrough();
    devices->add_flag("--json", wanted.json, "as JSON");
    devices->add_flag("--profile", wanted.profile,
                      "measure how fast they are, and keep that for the next start");
    return devices;
}

CLI::App* add_show(CLI::App& app, std::vector<std::string>& pictures) {
    CLI::App* show = app.add_subcommand("show", "draw pictures on the terminal, as well as it can");
    show->add_option("picture", pictures, "PNG, JPEG or WebP files")->required();
    return show;
}

std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

void choose_default_model(EngineConfig& config) {
    if (config.default_model == "none") {
        config.default_model = "";
    } else if (config.default_model.empty()) {
        config.default_model = shipped_model().string();
        config.default_is_demo = !config.default_model.empty();
    }
}

// Variables that hosts set for every kind of worker, and where a user's files lie.
void read_environment(DeviceOptions& devices) {
    devices.gpu_id = variable("GPU_ID").value_or("");
    devices.visible = variable("CUDA_VISIBLE_DEVICES");
    if (!devices.profile_cache.empty()) return;
    if (const auto cache = variable("XDG_CACHE_HOME"); cache && cache->starts_with('/')) {
        devices.profile_cache = *cache + "/sdxl-worker/devices.json";
    } else if (const auto home = variable("HOME"); home && home->starts_with('/')) {
        devices.profile_cache = *home + "/.cache/sdxl-worker/devices.json";
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(kDescription, "sdxl-worker");
    AppOptions options;
    options.engine.models_dir = "models";
    options.engine.output_dir = "output";
    GenerateOptions wanted;
    app.set_version_flag("--version", SDXL_VERSION);
    app.footer(kExamples);
    add_shared(app, options);
    add_serving(app, options);
    const CLI::App* generate_command = add_generate(app, wanted);
    DevicesOptions devices;
    const CLI::App* devices_command = add_devices(app, devices);
    std::vector<std::string> pictures;
    const CLI::App* show_command = add_show(app, pictures);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        constexpr int kUsage = 2;
        return app.exit(error) == 0 ? 0 : kUsage;
    }
    try {
        start_log(*parse_log_level(options.log_level));
        if (show_command->parsed()) return show_pictures(pictures);
        read_environment(options.engine.devices);
        choose_default_model(options.engine);
        if (devices_command->parsed()) return print_devices(options, devices);
        return generate_command->parsed() ? generate(options, wanted) : serve(options);
    } catch (...) {
        std::fprintf(stderr, "sdxl-worker: %s\n", current_error().message.c_str());
        return 1;
    }
}
