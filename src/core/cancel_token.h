// A flag that one thread raises and long work checks: between steps, and inside long stages.
//
// Shared by pointer between who cancels and who works; every method may be called from any thread. The token
// knows its deadline too, so that cancellation and a timeout are found by the same check.
#pragma once

#include <atomic>
#include <chrono>

#include "core/error.h"

namespace sdxl {

class CancelToken {
  public:
    using Clock = std::chrono::steady_clock;

    CancelToken() = default;
    explicit CancelToken(Clock::time_point deadline) : deadline_(deadline) {}

    void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
    bool expired() const { return Clock::now() >= deadline_; }

    // Throws Failure with kCancelled or kDeadlineExceeded if the work should stop.
    void check() const {
        if (cancelled()) fail(ErrorCode::kCancelled, "cancelled");
        if (expired()) fail(ErrorCode::kDeadlineExceeded, "the request's timeout ran out");
    }

  private:
    std::atomic<bool> cancelled_{false};
    Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace sdxl
