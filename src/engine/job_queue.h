// The jobs that an engine holds: who runs next, and who is ended before it runs.
//
// The loop thread takes the job with precedence, advances it by a unit, and puts it back until it is done.
// Precedence: the higher priority first, the lower number (submitted earlier) among equals. A job rises by
// one priority for every `aging` that it has waited, not begun or set aside, and keeps what it gained.
//
// Threads: push() and the questions from any; take(), give_back() and forget() from the loop thread. A job
// that waits while its token is raised is ended at once, by a thread of the queue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "core/cancel_token.h"
#include "core/error.h"
#include "request/status.h"

namespace sdxl {

// What a job does.
class Task {
  public:
    virtual ~Task() = default;
    // One unit of work, on the loop thread. True if it was the last; the task has answered then. Does not
    // throw.
    virtual bool advance() = 0;
    // Answers with `error` in place of going on. Any thread, never beside advance(). Called at most once, and
    // not after the last advance().
    virtual void end(const Error& error) = 0;
    // Told under no lock of the task's owner: what status() says. Any thread, also beside advance().
    virtual JobStatus describe() const = 0;
};

class JobQueue {
  public:
    using Clock = std::chrono::steady_clock;

    explicit JobQueue(std::chrono::duration<double> aging);
    // close() must have been called.
    ~JobQueue();
    JobQueue(const JobQueue&) = delete;
    JobQueue& operator=(const JobQueue&) = delete;

    // After close() the task is ended at once, on the caller's thread.
    void push(std::unique_ptr<Task> task, Priority priority, std::shared_ptr<CancelToken> token);

    class Job;
    // Waits for a job; null once the queue is closed. Tasks that were ended meanwhile are destroyed here, on
    // the loop thread.
    std::shared_ptr<Job> take();
    // The job goes on later. Returns true if it is the next one anyway (nobody took precedence): then it is
    // still the caller's.
    bool keep(const std::shared_ptr<Job>& job);
    // The job is done.
    void forget(const std::shared_ptr<Job>& job);
    // Ends take(); cancels the job that runs, and ends those that wait.
    void close();

    // Running first, then in order of precedence.
    std::vector<JobStatus> describe() const;
    // How often a job was set aside for another.
    std::uint64_t preemptions() const;

  private:
    double rank(const Job& job, Clock::time_point now) const;
    bool before(const Job& a, const Job& b, Clock::time_point now) const;
    std::shared_ptr<Job> best(Clock::time_point now) const;
    void watch();
    void end_raised(std::unique_lock<std::mutex>& lock);

    std::chrono::duration<double> aging_;
    mutable std::mutex mutex_;
    std::condition_variable pushed_;  // for the loop thread
    std::condition_variable raised_;  // for the watcher
    std::vector<std::shared_ptr<Job>> waiting_;
    std::shared_ptr<Job> running_;
    std::vector<std::shared_ptr<Job>> ended_;  // by the watcher; destroyed by the loop thread
    std::uint64_t next_number_ = 0;
    std::uint64_t preemptions_ = 0;
    bool closed_ = false;
    bool look_again_ = false;
    std::thread watcher_;  // last: starts when everything above is there
};

class JobQueue::Job {
  public:
    Task& task() const { return *task_; }

  private:
    friend class JobQueue;
    using Woken = std::stop_callback<std::function<void()>>;

    std::unique_ptr<Task> task_;
    Priority priority_ = Priority::kNormal;
    std::shared_ptr<CancelToken> token_;
    std::uint64_t number_ = 0;
    bool begun_ = false;
    Clock::duration waited_{0};  // before `since_`
    Clock::time_point since_;    // it waits since then
    std::unique_ptr<Woken> on_cancel_;
};

}  // namespace sdxl
