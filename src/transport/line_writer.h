// LineWriter: writes lines to a descriptor from a thread of its own, so that who has something to say never
// waits for a reader that is slow.
//
// Any thread. Lines leave whole and in the order of write(). The descriptor is not owned; its flags stay as
// they are.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "transport/wake_pipe.h"

namespace sdxl {

class LineWriter {
  public:
    // `on_gone` is called once, on the writer's thread, when nobody reads any more.
    LineWriter(int output, std::function<void()> on_gone);
    // Drops what is not written: flush_for() first.
    ~LineWriter();
    LineWriter(const LineWriter&) = delete;
    LineWriter& operator=(const LineWriter&) = delete;

    // `line` holds no line break. Dropped once nobody reads.
    void write(std::string line);
    std::size_t pending_bytes() const;
    bool gone() const;
    // Waits until no more than `bytes` are pending, nobody reads any more, or `time` is over.
    bool wait_below(std::size_t bytes, std::chrono::milliseconds time);
    // True once everything is written.
    bool flush_for(std::chrono::milliseconds time);

  private:
    void run();
    bool write_some(const std::string& bytes, std::size_t& at) const;
    bool wait_for_reader() const;

    int output_;
    std::function<void()> on_gone_;
    WakePipe wake_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> lines_;
    std::size_t pending_ = 0;  // bytes of lines_ and of the line being written
    bool gone_ = false;
    bool stopping_ = false;
    std::thread thread_;  // last: starts when everything above is there
};

}  // namespace sdxl
