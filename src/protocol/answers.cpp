#include "protocol/answers.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace sdxl {

std::string to_line(const OrderedJson& answer) {
    return answer.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson id_of(const ReplyTo& to) {
    if (to.id.empty()) return nullptr;
    if (!to.id_is_number) return to.id;
    OrderedJson number = OrderedJson::parse(to.id, nullptr, false);
    return number.is_number() ? number : OrderedJson(to.id);
}

std::string timestamp() {
    const auto now =
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const int milliseconds = static_cast<int>(now.time_since_epoch().count() % 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    char text[48];
    std::snprintf(text, sizeof text, "%s.%03dZ", date, milliseconds);
    return text;
}

std::vector<std::string> joined(const std::vector<std::string>& first,
                                const std::vector<std::string>& second) {
    std::vector<std::string> all = first;
    all.insert(all.end(), second.begin(), second.end());
    return all;
}

const std::vector<Feature>& features() {
    static const std::vector<Feature> all = {
        {"text_to_image", "textToImage", true},
        {"karras_sigmas", "karrasSigmas", true},
        {"philox_rng", "philoxRng", true},
        {"batch", "batch", true},
        {"image_to_image", "imageToImage", false},
        {"inpainting", "inpainting", false},
        {"lora", "lora", false},
        {"controlnet", "controlNet", false},
        {"refiner", "refiner", false},
        {"custom_vae", "customVae", false},
        {"textual_inversion", "textualInversion", false},
        {"prompt_weighting", "promptWeighting", false},
        {"upscaling", "upscaling", false},
        {"safety_checker", "safetyChecker", false},
    };
    return all;
}

std::string answer_error(const ReplyTo& to, const Error& error, const std::vector<std::string>& warnings,
                         double seconds) {
    return to.envelope == EnvelopeKind::kAction ? action_line(to, nullptr, &error, warnings)
                                                : message_line(to, nullptr, &error, warnings, seconds);
}

std::string answer_generation(const ReplyTo& to, const GenerationResult& result,
                              const std::vector<std::string>& warnings, double seconds) {
    const auto all = joined(warnings, result.warnings);
    return to.envelope == EnvelopeKind::kAction
               ? action_line(to, action_generation(to, result), nullptr, all)
               : message_line(to, message_generation(to, result), nullptr, all, seconds);
}

std::string answer_model(const ReplyTo& to, const ModelInfo& model, const std::vector<std::string>& warnings,
                         double seconds) {
    const auto all = joined(warnings, model.warnings);
    return to.envelope == EnvelopeKind::kAction
               ? action_line(to, action_model(model), nullptr, all)
               : message_line(to, message_model(model), nullptr, all, seconds);
}

std::string answer_status(const ReplyTo& to, const EngineStatus& status,
                          const std::vector<std::string>& warnings, double seconds) {
    return to.envelope == EnvelopeKind::kAction
               ? action_line(to, action_status(status), nullptr, warnings)
               : message_line(to, message_status(status), nullptr, warnings, seconds);
}

std::string answer_capabilities(const ReplyTo& to, const EngineStatus& status,
                                const std::vector<std::string>& warnings, double seconds) {
    return to.envelope == EnvelopeKind::kAction
               ? action_line(to, action_capabilities(status), nullptr, warnings)
               : message_line(to, message_capabilities(status), nullptr, warnings, seconds);
}

std::string answer_done(const ReplyTo& to, const std::vector<std::string>& warnings, double seconds) {
    const OrderedJson data = {{"status", "ok"}};
    return to.envelope == EnvelopeKind::kAction ? action_line(to, data, nullptr, warnings)
                                                : message_line(to, data, nullptr, warnings, seconds);
}

}  // namespace sdxl
