#include "app/generate.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/progress_bar.h"
#include "app/show.h"
#include "core/log.h"
#include "engine/device_engines.h"
#include "protocol/message.h"
#include "request/preprocessors.h"

namespace sdxl {
namespace {

std::atomic<CancelToken*> g_token{nullptr};

void on_interrupt(int) {
    if (CancelToken* token = g_token.load()) token->cancel();
}

// "name:0.8" -> the name and what stands behind the last `at`; the second is empty where there is none.
std::pair<std::string, std::string> split_last(const std::string& text, char at) {
    const auto place = text.find_last_of(at);
    if (place == std::string::npos) return {text, ""};
    return {text.substr(0, place), text.substr(place + 1)};
}

// What is added to the model, as the protocol has it. Paths are meant from the working directory.
void add_additions(const GenerateOptions& wanted, nlohmann::json& data) {
    const auto path = [](const std::string& name) { return std::filesystem::absolute(name).string(); };
    for (const auto& lora : wanted.loras) {
        const auto [name, weight] = split_last(lora, ':');
        char* end = nullptr;
        const double value = std::strtod(weight.c_str(), &end);
        const bool is_weight = !weight.empty() && *end == '\0';
        data["loras"].push_back(
            {{"model_path", is_weight ? name : lora}, {"weight", is_weight ? value : 1.0}});
    }
    for (const auto& embedding : wanted.embeddings) {
        const auto [name, word] = split_last(embedding, '=');
        data["textual_inversions"].push_back({{"model_path", name}, {"token", word}});
    }
    for (const auto& control : wanted.controls) {
        const auto equals = control.find('=');
        const std::string name = control.substr(0, equals);
        const std::string rest = equals == std::string::npos ? "" : control.substr(equals + 1);
        auto [picture, preprocessor] = split_last(rest, ':');
        if (!parse_preprocessor(preprocessor)) picture = rest;  // the colon is of the path
        nlohmann::json item = {{"model_path", name}, {"type", name}};
        if (!picture.empty()) item["conditioning_image"] = path(picture);
        if (picture != rest) item["preprocessor"] = preprocessor;
        data["controlnets"].push_back(std::move(item));
    }
    for (const auto& picture : wanted.references) data["reference_images"].push_back(path(picture));
}

// The request goes through the protocol, so that both ways in have the same rules and defaults.
Message message_of(const GenerateOptions& wanted) {
    nlohmann::json data = {{"prompt", wanted.prompt}};
    if (!wanted.model.empty()) data["model_name"] = wanted.model;
    if (!wanted.negative_prompt.empty()) data["negative_prompt"] = wanted.negative_prompt;
    // Paths are meant from the working directory.
    const auto path = [](const std::string& name) { return std::filesystem::absolute(name).string(); };
    if (!wanted.image.empty()) data["init_image"] = path(wanted.image);
    if (!wanted.mask.empty()) data["mask_image"] = path(wanted.mask);
    if (wanted.strength) data["strength"] = *wanted.strength;
    add_additions(wanted, data);
    if (!wanted.refiner.empty()) data["refiner_model"] = wanted.refiner;
    if (!wanted.vae.empty()) data["vae_model"] = wanted.vae;
    if (wanted.width) data["width"] = *wanted.width;
    if (wanted.height) data["height"] = *wanted.height;
    if (wanted.steps) data["steps"] = *wanted.steps;
    if (wanted.guidance) data["guidance_scale"] = *wanted.guidance;
    if (wanted.seed) data["seed"] = *wanted.seed;
    if (!wanted.scheduler.empty()) data["scheduler"] = wanted.scheduler;
    if (!wanted.spacing.empty()) data["timestep_spacing"] = wanted.spacing;
    if (!wanted.rng.empty()) data["rng"] = wanted.rng;
    if (!wanted.precision.empty()) data["precision"] = wanted.precision;
    if (wanted.offload == "networks") data["cpu_offload"] = true;
    if (wanted.offload == "weights") data["sequential_cpu_offload"] = true;
    if (wanted.karras) data["use_karras_sigmas"] = true;
    if (!wanted.output.empty()) data["save_path"] = path(wanted.output);
    const nlohmann::json message = {{"message_type", "inference_request"}, {"data", data}};
    return parse_message(message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int report(const Error& error) {
    std::fprintf(stderr, "sdxl-worker: %s\n", error.message.c_str());
    return 1;
}

}  // namespace

int generate(const AppOptions& options, const GenerateOptions& wanted) {
    const Message message = message_of(wanted);
    for (const auto& warning : message.warnings) log_warning(warning);
    if (!message.command.ok()) return report(message.command.error());
    const auto& request = std::get<GenerationRequest>(*message.command);

    const auto token = std::make_shared<CancelToken>();
    ProgressBar bar(::isatty(STDERR_FILENO) != 0);
    const auto engine = make_engine(options.engine);
    g_token = token.get();
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    JobContext context;
    context.token = token;
    context.wish.every = 1;
    context.progress = [&](const ProgressEvent& event) { bar.show(event); };
    std::promise<Result<GenerationResult>> promise;
    engine->submit(request, context,
                   [&](Result<GenerationResult> result) { promise.set_value(std::move(result)); });
    const auto result = promise.get_future().get();
    g_token = nullptr;
    bar.clear();
    if (!result.ok()) return report(result.error());
    for (const auto& warning : result->warnings) log_warning(warning);
    std::vector<std::string> paths;
    for (const auto& image : result->images) {
        std::printf("%s\n", image.path.c_str());
        paths.push_back(image.path);
    }
    return wanted.show ? show_pictures(paths) : 0;
}

}  // namespace sdxl
