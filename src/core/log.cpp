#include "core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>

namespace sdxl {
namespace {

constexpr const char* kLogger = "sdxl-worker";

void write(spdlog::level::level_enum level, std::string_view message) {
    if (const auto logger = spdlog::get(kLogger)) logger->log(level, "{}", message);
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == "debug" || lower == "trace") return LogLevel::kDebug;
    if (lower == "info" || lower == "information") return LogLevel::kInfo;
    if (lower == "warning" || lower == "warn") return LogLevel::kWarning;
    if (lower == "error" || lower == "critical") return LogLevel::kError;
    return std::nullopt;
}

void start_log(LogLevel level) {
    spdlog::drop(kLogger);
    const auto logger = spdlog::stderr_logger_mt(kLogger);
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
    switch (level) {
        case LogLevel::kDebug:
            logger->set_level(spdlog::level::debug);
            break;
        case LogLevel::kInfo:
            logger->set_level(spdlog::level::info);
            break;
        case LogLevel::kWarning:
            logger->set_level(spdlog::level::warn);
            break;
        case LogLevel::kError:
            logger->set_level(spdlog::level::err);
            break;
    }
    logger->flush_on(spdlog::level::debug);
}

void log_debug(std::string_view message) {
    write(spdlog::level::debug, message);
}
void log_info(std::string_view message) {
    write(spdlog::level::info, message);
}
void log_warning(std::string_view message) {
    write(spdlog::level::warn, message);
}
void log_error(std::string_view message) {
    write(spdlog::level::err, message);
}

}  // namespace sdxl
