#include "transport/stdio_transport.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace sdxl {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool blank(std::string_view line) {
    return line.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

}  // namespace

StdioTransport::StdioTransport(int input, int output, std::size_t max_line_bytes)
    : input_(input), output_(output), max_line_bytes_(max_line_bytes) {
    if (::pipe(wake_) != 0) fail(ErrorCode::kIo, std::string("cannot make a pipe: ") + std::strerror(errno));
}

StdioTransport::~StdioTransport() {
    ::close(wake_[0]);
    ::close(wake_[1]);
}

void StdioTransport::interrupt() const {
    const char byte = 0;
    [[maybe_unused]] const auto written = ::write(wake_[1], &byte, 1);
}

// Reads what is there, waiting for something. False at the end of input or when interrupted.
bool StdioTransport::fill() {
    pollfd waited[2] = {{input_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    while (true) {
        if (::poll(waited, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return false;
        }
        if (waited[1].revents != 0) return false;
        char bytes[kReadBytes];
        const ssize_t count = ::read(input_, bytes, sizeof bytes);
        if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
        if (count <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(count));
        return true;
    }
}

// The buffer's first `end` bytes are a line. Absent for one that needs no answer.
std::optional<Result<std::string>> StdioTransport::take_line(std::size_t end) {
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, std::min(end + 1, buffer_.size()));
    scanned_ = 0;
    const bool first = std::exchange(first_line_, false);
    if (std::exchange(too_long_, false) || line.size() > max_line_bytes_)
        return Error{ErrorCode::kInvalidRequest,
                     "the line is longer than " + std::to_string(max_line_bytes_) +
                         " bytes: send large pictures as files",
                     ""};
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (first && line.rfind(kByteOrderMark, 0) == 0) line.erase(0, kByteOrderMark.size());
    if (blank(line)) return std::nullopt;
    return Result<std::string>(std::move(line));
}

std::optional<Result<std::string>> StdioTransport::read_line() {
    while (true) {
        const std::size_t end = buffer_.find('\n', scanned_);
        if (end != std::string::npos) {
            if (auto line = take_line(end)) return line;
            continue;
        }
        scanned_ = buffer_.size();
        if (buffer_.size() > max_line_bytes_) {
            too_long_ = true;
            buffer_.clear();
            scanned_ = 0;
        }
        if (ended_) return std::nullopt;
        if (fill()) continue;
        ended_ = true;
        if (buffer_.empty() && !too_long_) return std::nullopt;
        return take_line(buffer_.size());
    }
}

void StdioTransport::write_line(std::string_view line) {
    std::string bytes(line);
    bytes += '\n';
    const std::lock_guard lock(write_mutex_);
    std::size_t at = 0;
    while (at < bytes.size() && !host_gone_) {
        const ssize_t count = ::write(output_, bytes.data() + at, bytes.size() - at);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            // Hosts on event loops hand over pipes that do not block.
            pollfd waited = {output_, POLLOUT, 0};
            ::poll(&waited, 1, -1);
        } else if (count < 0) {
            host_gone_ = true;
        } else {
            at += static_cast<std::size_t>(count);
        }
    }
}

int take_over_stdout() {
    std::signal(SIGPIPE, SIG_IGN);
    const int answers = ::dup(STDOUT_FILENO);
    if (answers < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        fail(ErrorCode::kIo, std::string("cannot redirect stdout: ") + std::strerror(errno));
    return answers;
}

}  // namespace sdxl
