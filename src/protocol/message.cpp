#include "protocol/message.h"

#include <exception>

#include "protocol/request_reader.h"
#include "protocol/strict_json.h"

namespace sdxl {

Message parse_message(std::string_view line) {
    Message message;
    try {
        const ParsedLine parsed = parse_strict(line);
        message.reply = reply_of_broken(parsed.value);
        if (parsed.error) {
            message.command = *parsed.error;
            return message;
        }
        ReadRequest read = read_request({&parsed.value, ""}, line);
        message = std::move(read.message);
        message.warnings = read.report.warnings();
        const auto findings = read.report.findings(line);
        if (!findings.empty()) message.command = Report::first_of(findings);
    } catch (const std::exception&) {
        message.command = current_error();
    }
    return message;
}

}  // namespace sdxl
