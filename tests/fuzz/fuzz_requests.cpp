// Any bytes as a host's line: reading them never throws, an id that can be read is answered under, and the
// answer is one line of JSON.
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "protocol/message.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

// What a request_id at the top level of a valid line must be answered as; null if there is none.
nlohmann::json id_of(std::string_view line) {
    const auto value = nlohmann::json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("request_id")) return nullptr;
    const auto& id = value["request_id"];
    if (id.is_number_integer()) return id;
    if (!id.is_string()) return nullptr;
    const auto text = id.get<std::string>();
    // Four bytes may spell "none".
    const bool plain =
        !text.empty() && text.size() != 4 && text.size() <= 1024 && text.find('\0') == std::string::npos;
    return plain ? id : nlohmann::json();
}

bool mentions_session(std::string_view line) {
    const auto value = nlohmann::json::parse(line, nullptr, false);
    if (!value.is_object()) return false;
    for (const auto& [name, member] : value.items()) {
        std::string folded;
        for (const char c : name)
            if (c != '_') folded += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (folded == "sessionid") return true;
    }
    return false;
}

void check_command(const sdxl::Command& command) {
    const auto check = [](const sdxl::GenerationRequest& request) {
        require(request.width >= 64 && request.width <= 4096 && request.width % 8 == 0);
        require(request.height >= 64 && request.height <= 4096 && request.height % 8 == 0);
        require(request.steps.value_or(1) >= 1 && request.steps.value_or(1) <= 500);
        require(request.guidance_scale.value_or(0) >= 0 && request.guidance_scale.value_or(0) <= 50);
        require(request.denoising_start >= 0 && request.denoising_end <= 1);
        require(request.pag_scale >= 0 && request.mask_blur >= 0 && request.mask_blur <= 256);
        require(request.batch_size >= 1 && request.batch_size <= 64);
        require(request.strength >= 0 && request.strength <= 1);
        require(!request.prompt.empty() && request.prompt.size() <= 32768);
    };
    if (const auto* one = std::get_if<sdxl::GenerationRequest>(&command)) check(*one);
    if (const auto* stages = std::get_if<sdxl::StagesRequest>(&command)) {
        require(!stages->stages.empty() && stages->stages.size() <= 8);
        for (const auto& stage : stages->stages) check(stage.request);
    }
    if (const auto* batch = std::get_if<sdxl::BatchRequest>(&command)) {
        require(!batch->items.empty() && batch->items.size() <= 64);
        for (const auto& item : batch->items)
            if (item.request.ok()) check(item.request.value());
    }
    if (const auto* validated = std::get_if<sdxl::ValidateRequest>(&command)) {
        require(validated->findings.empty() || !validated->request);
        if (validated->request) check(*validated->request);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const sdxl::Message message = sdxl::parse_message(line);
    sdxl::Error error{sdxl::ErrorCode::kInternal, "an error", "/a"};
    if (message.command.ok()) {
        check_command(message.command.value());
    } else {
        error = message.command.error();
        require(error.code == sdxl::ErrorCode::kInvalidRequest ||
                error.code == sdxl::ErrorCode::kUnsupported);
        require(!error.message.empty());
    }
    require(message.timeout_seconds > 0 && message.timeout_seconds <= 86400);
    const std::string answer = sdxl::answer_error({message.reply, message.warnings, 0}, error);
    require(answer.find('\n') == std::string::npos);
    const auto told = nlohmann::json::parse(answer);
    require(told["success"] == false && told["error"].is_string());
    // A cancel's own id may stand in a session_id; of two members of one name, nothing says which is the id.
    const bool clear = message.reply.envelope != sdxl::EnvelopeKind::kAction &&
                       error.message.find("twice") == std::string::npos && !mentions_session(line);
    const auto id = id_of(line);
    if (clear && !id.is_null()) require(told["request_id"] == id);
    return 0;
}
