// StdioTransport: one message per line on a pair of file descriptors, usually stdin and stdout.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>

#include "transport/line_decoder.h"
#include "transport/line_writer.h"
#include "transport/transport.h"
#include "transport/wake_pipe.h"

namespace sdxl {

class StdioTransport final : public Transport {
  public:
    static constexpr std::size_t kDefaultMaxLineBytes = std::size_t{64} << 20;

    // Does not own the descriptors.
    StdioTransport(int input, int output, std::size_t max_line_bytes = kDefaultMaxLineBytes);

    std::optional<Result<std::string>> read_line() override;
    void write_line(std::string line) override { writer_.write(std::move(line)); }
    bool congested() const override;
    void interrupt() override;
    bool host_gone() const override { return gone_ || writer_.gone(); }
    bool flush_for(std::chrono::milliseconds time) override { return writer_.flush_for(time); }

  private:
    bool fill();
    void wait_for_host();

    int input_;
    int output_;
    WakePipe wake_;
    std::atomic<bool> interrupted_{false};
    std::atomic<bool> gone_{false};
    bool ended_ = false;
    LineDecoder decoder_;
    LineWriter writer_;
};

// Keeps the process's real stdout for answers: returns a descriptor of it, and lets everything that libraries
// print go to stderr from then on. Also ignores SIGPIPE. Call once, first thing. Fails with kIo.
int take_over_stdout();

}  // namespace sdxl
