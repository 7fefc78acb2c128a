// Session: one host's requests, from lines to answers.
//
// Every line gets exactly one answer line. Requests with an id are answered when they are done, so that a
// status comes back while a picture is being made; answers to requests without an id keep their order among
// themselves. Deadlines count from receipt. At most `queue_limit` requests that make the engine work are
// taken on at a time.
//
// Threads: receive() is called by one thread, everything else by any. Answers are written from there and from
// the engine's threads, one at a time. The engine must outlive the session's last answer.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "protocol/message.h"
#include "worker/worker.h"

namespace sdxl {

struct SessionOptions {
    std::string default_worker = "pipeline_manager";  // takes the messages that name none
    int queue_limit = 256;
    bool wait_when_full = false;  // receive() waits for room instead of refusing what is too much
};

// Where lines go. Neither may wait.
struct SessionOutput {
    std::function<void(std::string)> write;
    std::function<bool()> congested = [] { return false; };  // leave out what is not owed
};

class Session {
  public:
    Session(Engine& engine, SessionOptions options, SessionOutput output);
    // Waits for the last answer.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // A line, or what the transport says of one that it could not read. False once the host asked to stop.
    // Waits while very many answers are held back behind an earlier one without an id.
    bool receive(const Result<std::string>& line);
    // Cancels everything that has not been answered, and what is received from now on; the answers still
    // come.
    void cancel_all();
    // Waits until everything that was accepted is answered.
    void drain();
    // The same for at most `time`; true once everything is answered.
    bool drain_for(std::chrono::milliseconds time);
    // Answers in the engine's place, with kCancelled, what it has not answered; what it says later is
    // dropped. For a process that is about to end.
    void abandon();

  private:
    using Clock = std::chrono::steady_clock;
    struct Request;
    using RequestPtr = std::shared_ptr<Request>;
    class Handler;

    RequestPtr accept(const Message& message);
    void run(const RequestPtr& request, WorkerCommand command);
    std::vector<std::string> cancel(const CancelRequest& wanted, const RequestPtr& asker);
    WorkerStatus status();
    void tell_progress(const RequestPtr& request, const ProgressEvent& event);
    void answer(const RequestPtr& request, std::string line, const Error* error = nullptr);
    void answer_failure(const RequestPtr& request, const Error& error);
    void count(const Error* error);

    Engine& engine_;
    SessionOptions options_;
    SessionOutput output_;
    WorkerRegistry workers_;
    const Clock::time_point begin_ = Clock::now();

    std::mutex mutex_;
    std::condition_variable answered_;
    std::map<std::uint64_t, RequestPtr> unanswered_;  // by number of receipt
    std::deque<RequestPtr> in_order_;                 // without an id and not written, oldest first
    int working_ = 0;                                 // unanswered requests that the engine works on
    bool stopping_ = false;
    SessionCounters counters_;
};

}  // namespace sdxl
