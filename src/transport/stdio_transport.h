// StdioTransport: one message per line on a pair of file descriptors, usually stdin and stdout.
//
// Lines end in \n or \r\n; the last one may lack its end. A byte order mark before the first line is skipped.
// A line longer than `max_line_bytes` is reported as an error and skipped to its end, in constant memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>

#include "transport/transport.h"

namespace sdxl {

class StdioTransport final : public Transport {
  public:
    static constexpr std::size_t kDefaultMaxLineBytes = std::size_t{64} << 20;

    // Does not own the descriptors.
    StdioTransport(int input, int output, std::size_t max_line_bytes = kDefaultMaxLineBytes);
    ~StdioTransport() override;
    StdioTransport(const StdioTransport&) = delete;
    StdioTransport& operator=(const StdioTransport&) = delete;

    std::optional<Result<std::string>> read_line() override;
    void write_line(std::string_view line) override;

    // Ends read_line() from any thread or a signal handler: only writes one byte to a pipe.
    void interrupt() const;

  private:
    bool fill();
    std::optional<Result<std::string>> take_line(std::size_t end);

    int input_;
    int output_;
    std::size_t max_line_bytes_;
    int wake_[2] = {-1, -1};
    std::string buffer_;
    std::size_t scanned_ = 0;  // of buffer_, known to hold no line end
    bool too_long_ = false;    // the line being read is being skipped
    bool first_line_ = true;
    bool ended_ = false;
    std::mutex write_mutex_;
    std::atomic<bool> host_gone_{false};
};

// Keeps the process's real stdout for answers: returns a descriptor of it, and lets everything that libraries
// print go to stderr from then on. Also ignores SIGPIPE. Call once, first thing. Fails with kIo.
int take_over_stdout();

}  // namespace sdxl
