// The part of body_fields.h that knows what stands between angle brackets in a prompt: <lora:name:weight>,
// <lora:name:text encoders:UNet>, <lora:name:te=0.5:unet=1>, and <lyco:...> alike.
#include <charconv>
#include <string_view>
#include <utility>

#include "protocol/body_fields.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr double kMostWeight = 4;  // as in the schemas

std::optional<double> to_weight(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() ||
        !(value >= -kMostWeight && value <= kMostWeight))
        return std::nullopt;
    return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(end + 1)) {
        end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) break;
    }
    return parts;
}

// `arguments` stand behind the name: numbers in A1111's order, or named.
bool set_weights(LoraRequest& lora, const std::vector<std::string_view>& arguments) {
    std::size_t place = 0;
    bool unet_set = false;
    for (std::string_view argument : arguments) {
        const auto equals = argument.find('=');
        const std::string_view name = equals == std::string_view::npos ? "" : argument.substr(0, equals);
        if (equals != std::string_view::npos) argument.remove_prefix(equals + 1);
        const auto weight = to_weight(argument);
        if (!weight) return false;
        const bool unet = name == "unet" || (name.empty() && place == 1);
        const bool text = name == "te" || (name.empty() && place == 0);
        if (!unet && !text) return false;
        if (text) lora.text_encoder_weight = lora.text_encoder_2_weight = *weight;
        // The UNet follows the text encoders unless it has a weight of its own.
        if (unet || !unet_set) lora.unet_weight = *weight;
        unet_set = unet_set || unet;
        place += name.empty() ? 1 : 0;
    }
    return true;
}

// The tags of a prompt, which are taken out of it.
std::vector<LoraRequest> take_tags(std::string& prompt, const std::string& pointer, Report& report) {
    std::vector<LoraRequest> loras;
    std::size_t begin = 0;
    while ((begin = prompt.find('<', begin)) != std::string::npos) {
        const std::size_t end = prompt.find('>', begin);
        if (end == std::string::npos) break;
        const std::string tag = prompt.substr(begin + 1, end - begin - 1);
        auto parts = split(tag, ':');
        if (parts.size() < 2 || !(same_name(parts[0], "lora") || same_name(parts[0], "lyco"))) {
            ++begin;
            continue;
        }
        LoraRequest lora;
        lora.file = parts[1];
        lora.pointer = pointer;
        parts.erase(parts.begin(), parts.begin() + 2);
        if (lora.file.empty() || !set_weights(lora, parts))
            report.error(ErrorCode::kInvalidRequest,
                         "expected <lora:name:weight> with a weight of -4 to 4, found '<" + tag + ">'",
                         pointer);
        loras.push_back(std::move(lora));
        prompt.erase(begin, end - begin + 1);
    }
    return loras;
}

}  // namespace

void take_lora_tags(const BodyFields& fields, GenerationRequest& request, Report& report) {
    const auto pointer = [](const auto& field) { return field ? field->pointer : std::string(); };
    for (auto& lora : take_tags(request.prompt, pointer(fields.prompt), report))
        request.loras.push_back(std::move(lora));
    for (auto& lora : take_tags(request.prompt_2, pointer(fields.prompt_2), report))
        request.loras.push_back(std::move(lora));
    for (const auto& [prompt, field] : {std::pair{&request.negative_prompt, &fields.negative_prompt},
                                        {&request.negative_prompt_2, &fields.negative_prompt_2}})
        if (!take_tags(*prompt, pointer(*field), report).empty())
            report.warn(pointer(*field), "names LoRAs, which have no effect in a negative prompt");
}

}  // namespace sdxl
