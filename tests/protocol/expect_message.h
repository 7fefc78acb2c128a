// Shorthands for what a line is expected to mean.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "protocol/message.h"

namespace sdxl {

inline GenerationRequest generation_of(const Message& message) {
    if (!message.command.ok()) {
        ADD_FAILURE() << message.command.error().pointer << ": " << message.command.error().message;
        return {};
    }
    const auto* request = std::get_if<GenerationRequest>(&message.command.value());
    if (request == nullptr) ADD_FAILURE() << "not a generation";
    return request == nullptr ? GenerationRequest{} : *request;
}

// The command of a line that is without fault or warning.
template <class T>
T command_of(const std::string& line) {
    const Message message = parse_message(line);
    if (!message.command.ok()) {
        ADD_FAILURE() << line << ": " << message.command.error().message;
        return {};
    }
    EXPECT_TRUE(message.warnings.empty()) << line << ": " << message.warnings[0];
    const auto* command = std::get_if<T>(&*message.command);
    if (command == nullptr) ADD_FAILURE() << line << " is another command";
    return command == nullptr ? T{} : *command;
}

inline std::string inference(const std::string& data) {
    return R"({"message_type":"inference_request","request_id":"r1","data":)" + data + "}";
}

inline GenerationRequest generation_from(const std::string& data) {
    return generation_of(parse_message(inference(data)));
}

inline void expect_error(const std::string& line, ErrorCode code, std::string_view pointer,
                         std::string_view said = "") {
    const Message message = parse_message(line);
    ASSERT_FALSE(message.command.ok()) << line;
    const Error& error = message.command.error();
    EXPECT_EQ(error_code_name(error.code), error_code_name(code)) << line << "\n" << error.message;
    EXPECT_EQ(error.pointer, pointer) << line << "\n" << error.message;
    EXPECT_NE(error.message.find(said), std::string::npos) << error.message;
}

inline bool warns(const Message& message, std::string_view pointer, std::string_view said) {
    return std::any_of(message.warnings.begin(), message.warnings.end(), [&](const std::string& warning) {
        return warning.starts_with(std::string(pointer) + " ") && warning.find(said) != std::string::npos;
    });
}

}  // namespace sdxl
