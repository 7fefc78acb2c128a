#include "transport/stdio_transport.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace sdxl {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;
// Answers that a host may leave unread before no more of its requests are read, and before progress is left
// out.
constexpr std::size_t kMostPendingBytes = std::size_t{64} << 20;
constexpr std::size_t kCongestedBytes = std::size_t{256} << 10;

}  // namespace

StdioTransport::StdioTransport(int input, int output, std::size_t max_line_bytes)
    : input_(input), output_(output), decoder_(max_line_bytes), writer_(output, [this] { interrupt(); }) {}

void StdioTransport::interrupt() {
    interrupted_ = true;
    wake_.wake();
}

bool StdioTransport::congested() const {
    return writer_.pending_bytes() > kCongestedBytes;
}

void StdioTransport::wait_for_host() {
    constexpr std::chrono::milliseconds kLook{100};
    while (!interrupted_ && !host_gone() && !writer_.wait_below(kMostPendingBytes, kLook)) {
    }
}

// Reads what is there, waiting for something. False at the end of input, when the host is gone, and when
// there is nothing more after an interruption.
bool StdioTransport::fill() {
    // An output that nobody reads is noticed here too, also while there is nothing to write.
    pollfd waited[3] = {{input_, POLLIN, 0}, {output_, 0, 0}, {wake_.descriptor(), POLLIN, 0}};
    while (!host_gone()) {
        if (::poll(waited, 3, interrupted_ ? 0 : -1) < 0) {
            if (errno == EINTR) continue;
            return false;
        }
        if ((waited[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
            gone_ = true;
            return false;
        }
        if (waited[0].revents == 0) {
            if (interrupted_) return false;
            continue;
        }
        char bytes[kReadBytes];
        const ssize_t count = ::read(input_, bytes, sizeof bytes);
        if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
        if (count <= 0) return false;
        decoder_.feed({bytes, static_cast<std::size_t>(count)});
        return true;
    }
    return false;
}

std::optional<Result<std::string>> StdioTransport::read_line() {
    wait_for_host();
    while (true) {
        if (auto line = decoder_.next()) return line;
        if (ended_ || host_gone()) return std::nullopt;
        if (fill()) continue;
        ended_ = true;
        // Half a line is a request at the end of input, but not where the reading was broken off.
        if (!interrupted_) decoder_.end();
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
