#include "engine/picture_writer.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <utility>

#include "engine/checks.h"
#include "image/jpeg.h"
#include "image/png.h"
#include "image/webp.h"
#include "image/write_file.h"

namespace sdxl {
namespace {

// A host's id may hold anything: what is no safe file name character becomes '_', and length is bounded.
std::string file_stem(const std::string& id) {
    constexpr std::size_t kLongest = 64;
    std::string stem;
    for (const char c : id.substr(0, kLongest)) {
        const bool safe =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        stem += safe ? c : '_';
    }
    if (!stem.empty()) return stem;
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm utc{};
    gmtime_r(&now, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &utc);
    return text;
}

// <name>_<index>.<format> for the pictures after the first.
std::filesystem::path numbered(std::filesystem::path path, int index, ImageFormat format) {
    if (path.extension().empty()) path += image_format_extension(format);
    if (index == 0) return path;
    const std::string name = path.stem().string() + "_" + std::to_string(index) + path.extension().string();
    return path.replace_filename(name);
}

// A name of ours never replaces an earlier picture: hosts use one session id for many requests, and workers
// share a folder.
std::filesystem::path write_under_new_name(const std::string& stem, ImageFormat format,
                                           const EngineConfig& config, std::span<const std::uint8_t> bytes) {
    const auto folder = std::filesystem::absolute(config.output_dir);
    const std::string extension(image_format_extension(format));
    std::filesystem::path path = folder / (stem + extension);
    for (int again = 2; !write_new_file_atomically(path, bytes); ++again)
        path = folder / (stem + "-" + std::to_string(again) + extension);
    return path;
}

std::string plain_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

// As the A1111 web UI writes LoRAs into prompts: <lora:name:weight>, or with the text encoders' weight first.
std::string lora_tags(const std::vector<AdapterReport>& adapters) {
    std::string tags;
    for (const AdapterReport& adapter : adapters) {
        const bool alike = adapter.text_encoder_weight == adapter.unet_weight;
        tags += " <lora:" + std::filesystem::path(adapter.path).stem().string() + ":" +
                (alike ? "" : plain_number(adapter.text_encoder_weight) + ":") +
                plain_number(adapter.unet_weight) + ">";
    }
    return tags;
}

// The form that the A1111 web UI writes and reads.
std::string parameters_text(const GenerationRequest& request, const GenerationResult& so_far,
                            std::uint64_t seed) {
    const bool plain = so_far.sigma_schedule == SigmaSchedule::kPlain;
    std::string text = request.prompt + lora_tags(so_far.adapters) + "\n";
    if (!request.negative_prompt.empty()) text += "Negative prompt: " + request.negative_prompt + "\n";
    text += "Steps: " + std::to_string(so_far.steps) +
            ", Sampler: " + std::string(scheduler_title(so_far.scheduler)) +
            (plain ? "" : " " + std::string(sigma_schedule_title(so_far.sigma_schedule))) +
            ", CFG scale: " + plain_number(so_far.guidance_scale) + ", Seed: " + std::to_string(seed) +
            ", Size: " + std::to_string(request.width) + "x" + std::to_string(request.height) +
            (so_far.strength ? ", Denoising strength: " + plain_number(*so_far.strength) : "") +
            ", Model: " + std::filesystem::path(so_far.base_model).stem().string() +
            ", RNG: " + std::string(rng_name(so_far.rng));
    const auto stem = [](const std::string& path) { return std::filesystem::path(path).stem().string(); };
    if (!so_far.vae_model.empty()) text += ", VAE: " + stem(so_far.vae_model);
    if (!so_far.refiner_model.empty() && request.refiner)
        text +=
            ", Refiner: " + stem(so_far.refiner_model) +
            (request.refiner->strength ? ""
                                       : ", Refiner switch at: " + plain_number(request.refiner->switch_at));
    return text;
}

std::vector<std::uint8_t> encode(const Image& image, const GenerationRequest& request,
                                 const std::string& parameters) {
    switch (request.format) {
        case ImageFormat::kJpeg:
            return encode_jpeg(image, request.quality, parameters);
        case ImageFormat::kWebp:
            return encode_webp(image, request.quality);
        case ImageFormat::kPng:
            break;
    }
    return encode_png(image, {{"parameters", parameters}, {"Software", "sdxl-worker"}});
}

}  // namespace

GeneratedImage write_picture(const Image& image, const GenerationRequest& request,
                             const GenerationResult& so_far, std::uint64_t seed, int index,
                             const EngineConfig& config) {
    GeneratedImage result;
    result.seed = seed;
    result.width = image.width;
    result.height = image.height;
    if (request.keep_pixels) result.pixels = std::make_shared<Image>(image);
    if (request.keep_pixels && request.save_path.empty()) return result;
    auto encoded = encode(image, request, parameters_text(request, so_far, seed));
    if (request.save_path.empty()) {
        result.path = write_under_new_name(file_stem(request.id) + "_" + std::to_string(seed), request.format,
                                           config, encoded)
                          .string();
    } else {
        const auto path = numbered(save_path_of(request, config), index, request.format);
        write_file_atomically(path, encoded);
        result.path = path.string();
    }
    if (request.return_image_data) result.encoded = std::move(encoded);
    return result;
}

}  // namespace sdxl
