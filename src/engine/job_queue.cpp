#include "engine/job_queue.h"

#include <utility>

namespace sdxl {

void JobQueue::push(Job job) {
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) {
            jobs_.push_back(std::move(job));
            changed_.notify_one();
            return;
        }
    }
    job.abandon();
}

std::optional<Job> JobQueue::pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
    if (closed_) return std::nullopt;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
}

std::deque<Job> JobQueue::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    return std::exchange(jobs_, {});
}

int JobQueue::waiting() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(jobs_.size());
}

}  // namespace sdxl
