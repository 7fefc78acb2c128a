// The jobs that wait for an engine's loop thread, first come first served.
//
// Any thread may push and count; one thread pops. A job is called exactly once: run() by the loop, or
// abandon() when the queue closes before its turn.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "core/cancel_token.h"

namespace sdxl {

struct Job {
    std::function<void()> run;
    std::function<void()> abandon;
    std::shared_ptr<CancelToken> token;
};

class JobQueue {
  public:
    // After close() the job is abandoned at once, on the caller's thread.
    void push(Job job);
    // Waits for a job; absent once the queue is closed.
    std::optional<Job> pop();
    // Ends pop() and hands back what was waiting.
    std::deque<Job> close();
    int waiting() const;

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    bool closed_ = false;
};

}  // namespace sdxl
