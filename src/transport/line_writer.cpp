// Threading: write() and the waits take mutex_; the thread takes it to fetch a line and gives it back while
// the line is written. A pipe of our own ends its wait for a reader that does not read.
#include "transport/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace sdxl {

LineWriter::LineWriter(int output, std::function<void()> on_gone)
    : output_(output), on_gone_(std::move(on_gone)), thread_([this] { run(); }) {}

LineWriter::~LineWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    wake_.wake();
    thread_.join();
}

void LineWriter::write(std::string line) {
    line += '\n';
    const std::lock_guard lock(mutex_);
    if (gone_) return;
    pending_ += line.size();
    lines_.push_back(std::move(line));
    changed_.notify_all();
}

std::size_t LineWriter::pending_bytes() const {
    const std::lock_guard lock(mutex_);
    return pending_;
}

bool LineWriter::gone() const {
    const std::lock_guard lock(mutex_);
    return gone_;
}

bool LineWriter::wait_below(std::size_t bytes, std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [&] { return gone_ || pending_ <= bytes; });
    return !gone_ && pending_ <= bytes;
}

bool LineWriter::flush_for(std::chrono::milliseconds time) {
    return wait_below(0, time);
}

// False if nobody reads any more, or when stopping.
bool LineWriter::wait_for_reader() const {
    pollfd waited[2] = {{output_, POLLOUT, 0}, {wake_.descriptor(), POLLIN, 0}};
    while (::poll(waited, 2, -1) < 0)
        if (errno != EINTR) return false;
    return (waited[0].revents & POLLOUT) != 0 && waited[1].revents == 0;
}

bool LineWriter::write_some(const std::string& bytes, std::size_t& at) const {
    if (!wait_for_reader()) return false;
    // As much as a pipe takes without blocking once it says that it is ready.
    const std::size_t count = std::min<std::size_t>(bytes.size() - at, PIPE_BUF);
    const ssize_t written = ::write(output_, bytes.data() + at, count);
    if (written < 0) return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
    at += static_cast<std::size_t>(written);
    return true;
}

void LineWriter::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || !lines_.empty(); });
        if (stopping_) return;
        const std::string line = std::move(lines_.front());
        lines_.pop_front();
        lock.unlock();
        bool there = true;
        for (std::size_t at = 0; there && at < line.size();) there = write_some(line, at);
        if (!there) break;
        lock.lock();
        pending_ -= line.size();
        changed_.notify_all();
    }
    lock.lock();
    if (stopping_) return;
    gone_ = true;
    lines_.clear();
    pending_ = 0;
    changed_.notify_all();
    lock.unlock();
    on_gone_();
}

}  // namespace sdxl
