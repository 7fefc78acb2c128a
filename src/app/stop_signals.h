// SIGTERM and SIGINT as a call on an ordinary thread.
#pragma once

#include <functional>
#include <thread>

#include "transport/wake_pipe.h"

namespace sdxl {

// While one lives, the first SIGTERM or SIGINT calls `on_signal` on a thread of its own, once. There may be
// one at a time in a process.
class StopSignals {
  public:
    explicit StopSignals(std::function<void()> on_signal);
    // Waits for a call that is under way.
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

  private:
    WakePipe wake_;
    std::thread thread_;
};

}  // namespace sdxl
