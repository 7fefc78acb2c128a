#include "app/generate.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

#include "app/progress_bar.h"
#include "core/log.h"
#include "protocol/message.h"

namespace sdxl {
namespace {

std::atomic<CancelToken*> g_token{nullptr};

void on_interrupt(int) {
    if (CancelToken* token = g_token.load()) token->cancel();
}

// The request goes through the protocol, so that both ways in have the same rules and defaults.
Message message_of(const GenerateOptions& wanted) {
    nlohmann::json data = {{"prompt", wanted.prompt}, {"model_name", wanted.model}};
    if (!wanted.negative_prompt.empty()) data["negative_prompt"] = wanted.negative_prompt;
    // Paths are meant from the working directory.
    const auto path = [](const std::string& name) { return std::filesystem::absolute(name).string(); };
    if (!wanted.image.empty()) data["init_image"] = path(wanted.image);
    if (!wanted.mask.empty()) data["mask_image"] = path(wanted.mask);
    if (wanted.strength) data["strength"] = *wanted.strength;
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
    for (const auto& image : result->images) std::printf("%s\n", image.path.c_str());
    return 0;
}

}  // namespace sdxl
