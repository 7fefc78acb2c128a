// Logging: lines to stderr, and only there (stdout carries answers).
//
// Any thread may log once start_log() has run; before, nothing is written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sdxl {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Ignores case: DEBUG, INFO, WARNING (or WARN), ERROR, CRITICAL (which is ERROR here).
std::optional<LogLevel> parse_log_level(std::string_view name);

void start_log(LogLevel level);

void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace sdxl
