// A flag that one thread raises and long work checks: between steps, and inside long stages.
//
// Shared by pointer between who cancels and who works; every method may be called from any thread. The token
// knows its deadline too, so that cancellation and a timeout are found by the same check.
#pragma once

#include <chrono>
#include <stop_token>

#include "core/error.h"

namespace sdxl {

class CancelToken {
  public:
    using Clock = std::chrono::steady_clock;

    CancelToken() = default;
    explicit CancelToken(Clock::time_point deadline) : deadline_(deadline) {}

    void cancel() { source_.request_stop(); }
    bool cancelled() const { return source_.stop_requested(); }
    bool expired() const { return Clock::now() >= deadline_; }
    bool raised() const { return cancelled() || expired(); }
    Clock::time_point deadline() const { return deadline_; }
    // For std::stop_callback: who waits on something else can be woken when cancel() is called.
    std::stop_token stop_token() const { return source_.get_token(); }

    // Throws Failure with kCancelled or kDeadlineExceeded if the work should stop.
    void check() const {
        if (cancelled()) fail(ErrorCode::kCancelled, "cancelled");
        if (expired()) fail(ErrorCode::kDeadlineExceeded, "the request's timeout ran out");
    }

  private:
    std::stop_source source_;
    Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace sdxl
