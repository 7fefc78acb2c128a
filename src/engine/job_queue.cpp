// Threading: one mutex guards the lists. Tasks are advanced, ended and destroyed outside of it. A job is in
// exactly one of waiting_, running_ and ended_, so that it is ended or advanced by one thread at a time. The
// stop callback of a token only sets a flag and notifies: it may run inside cancel() on any thread.
#include "engine/job_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sdxl {

JobQueue::JobQueue(std::chrono::duration<double> aging) : aging_(aging), watcher_([this] { watch(); }) {}

JobQueue::~JobQueue() {
    watcher_.join();
}

void JobQueue::push(std::unique_ptr<Task> task, Priority priority, std::shared_ptr<CancelToken> token) {
    auto job = std::make_shared<Job>();
    job->task_ = std::move(task);
    job->priority_ = priority;
    job->token_ = std::move(token);
    job->since_ = Clock::now();
    job->on_cancel_ = std::make_unique<Job::Woken>(job->token_->stop_token(), [this] {
        const std::lock_guard lock(mutex_);
        look_again_ = true;
        raised_.notify_one();
    });
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) {
            job->number_ = next_number_++;
            waiting_.push_back(std::move(job));
            look_again_ = true;  // its deadline may be the nearest
            pushed_.notify_one();
            raised_.notify_one();
            return;
        }
    }
    job->task_->end({ErrorCode::kCancelled, "cancelled: the worker is stopping", ""});
}

double JobQueue::rank(const Job& job, Clock::time_point now) const {
    const auto waited = job.waited_ + (&job == running_.get() ? Clock::duration{0} : now - job.since_);
    const double gained = std::floor(std::chrono::duration<double>(waited) / aging_);
    return std::min(static_cast<double>(job.priority_) + gained, static_cast<double>(Priority::kCritical));
}

bool JobQueue::before(const Job& a, const Job& b, Clock::time_point now) const {
    const double rank_a = rank(a, now);
    const double rank_b = rank(b, now);
    return rank_a != rank_b ? rank_a > rank_b : a.number_ < b.number_;
}

std::shared_ptr<JobQueue::Job> JobQueue::best(Clock::time_point now) const {
    const auto found = std::min_element(waiting_.begin(), waiting_.end(),
                                        [&](const auto& a, const auto& b) { return before(*a, *b, now); });
    return found == waiting_.end() ? nullptr : *found;
}

std::shared_ptr<JobQueue::Job> JobQueue::take() {
    while (true) {
        std::vector<std::shared_ptr<Job>> ended;  // destroyed outside the lock
        std::unique_lock lock(mutex_);
        pushed_.wait(lock, [this] { return closed_ || !waiting_.empty() || !ended_.empty(); });
        ended = std::exchange(ended_, {});
        if (closed_) return nullptr;
        const auto now = Clock::now();
        if (auto job = best(now)) {
            std::erase(waiting_, job);
            job->waited_ += now - job->since_;
            job->begun_ = true;
            running_ = job;
            return job;
        }
    }
}

bool JobQueue::keep(const std::shared_ptr<Job>& job) {
    std::vector<std::shared_ptr<Job>> ended;
    const std::lock_guard lock(mutex_);
    ended = std::exchange(ended_, {});
    const auto now = Clock::now();
    const auto other = best(now);
    if (closed_ || !other || !before(*other, *job, now)) return true;
    running_ = nullptr;
    ++preemptions_;
    job->since_ = now;
    waiting_.push_back(job);
    return false;
}

void JobQueue::forget(const std::shared_ptr<Job>& job) {
    std::vector<std::shared_ptr<Job>> ended;
    const std::lock_guard lock(mutex_);
    ended = std::exchange(ended_, {});
    if (running_ == job) running_ = nullptr;
}

void JobQueue::close() {
    std::shared_ptr<Job> running;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        running = running_;
        pushed_.notify_all();
        raised_.notify_all();
    }
    if (running) running->token_->cancel();  // calls back, which takes the lock
}

// Ends those that wait and may not run any more. Gives the lock back while they answer.
void JobQueue::end_raised(std::unique_lock<std::mutex>& lock) {
    std::vector<std::shared_ptr<Job>> raised;
    for (const auto& job : waiting_)
        if (closed_ || job->token_->raised()) raised.push_back(job);
    if (raised.empty()) return;
    std::erase_if(waiting_, [&](const auto& job) {
        return std::find(raised.begin(), raised.end(), job) != raised.end();
    });
    const bool closed = closed_;
    lock.unlock();
    for (const auto& job : raised) {
        try {
            job->token_->check();
            if (closed) fail(ErrorCode::kCancelled, "cancelled: the worker is stopping");
        } catch (const Failure& failure) {
            job->task_->end(failure.error());
        }
    }
    lock.lock();
    ended_.insert(ended_.end(), raised.begin(), raised.end());
    pushed_.notify_one();
}

void JobQueue::watch() {
    std::unique_lock lock(mutex_);
    while (true) {
        look_again_ = false;
        end_raised(lock);
        if (closed_ && waiting_.empty()) return;
        if (closed_) continue;
        auto nearest = Clock::time_point::max();
        for (const auto& job : waiting_) nearest = std::min(nearest, job->token_->deadline());
        const auto woken = [this] { return look_again_ || closed_; };
        if (nearest == Clock::time_point::max())
            raised_.wait(lock, woken);
        else
            raised_.wait_until(lock, nearest, woken);
    }
}

std::vector<JobStatus> JobQueue::describe() const {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    auto order = waiting_;
    std::sort(order.begin(), order.end(), [&](const auto& a, const auto& b) { return before(*a, *b, now); });
    if (running_) order.insert(order.begin(), running_);
    std::vector<JobStatus> all;
    for (const auto& job : order) {
        JobStatus status = job->task_->describe();
        status.priority = job->priority_;
        status.state = job == running_ ? JobStatus::State::kRunning
                       : job->begun_   ? JobStatus::State::kPaused
                                       : JobStatus::State::kWaiting;
        const auto waited = job->waited_ + (job == running_ ? Clock::duration{0} : now - job->since_);
        status.waited_seconds = std::chrono::duration<double>(waited).count();
        all.push_back(std::move(status));
    }
    return all;
}

std::uint64_t JobQueue::preemptions() const {
    const std::lock_guard lock(mutex_);
    return preemptions_;
}

}  // namespace sdxl
