// Session: one host's requests, from lines to answers.
//
// Every line gets exactly one answer line. Requests with an id are answered when they are done, so that a
// status comes back while a picture is being made; answers to requests without an id keep their order among
// themselves. Deadlines count from receipt. At most `kMostUnanswered` generations and loads are taken on at a
// time.
//
// Threads: receive() is called by one thread; answers are written from it and from the engine's thread, one
// at a time. The engine must outlive the session's last answer: call drain() before either goes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/engine.h"
#include "protocol/message.h"
#include "worker/worker.h"

namespace sdxl {

class Session {
  public:
    static constexpr int kMostUnanswered = 256;
    using WriteLine = std::function<void(const std::string&)>;

    // `default_worker` takes the messages that name no worker; "" leaves that to the protocol.
    Session(Engine& engine, std::string default_worker, WriteLine write);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // A line, or what the transport says of one that it could not read. False once the host asked to stop.
    bool receive(const Result<std::string>& line);
    // Cancels everything that has not been answered; the answers still come.
    void cancel_all();
    // Waits until everything that was accepted is answered.
    void drain();
    // The same for at most `time`; true once everything is answered.
    bool drain_for(std::chrono::milliseconds time);

  private:
    using Clock = std::chrono::steady_clock;
    struct Request;

    std::shared_ptr<Request> accept(const Message& message);
    bool handle(const std::shared_ptr<Request>& request, const Command& command);
    void run(const std::shared_ptr<Request>& request, WorkerCommand command);
    void answer_outcome(const std::shared_ptr<Request>& request, const WorkerResponse& response);
    void answer(const std::shared_ptr<Request>& request, std::string line);

    Engine& engine_;
    WorkerRegistry workers_;
    std::string default_worker_;
    WriteLine write_;

    std::mutex mutex_;
    std::condition_variable answered_;
    std::deque<std::shared_ptr<Request>> in_order_;  // without an id, oldest first
    std::map<Request*, std::shared_ptr<Request>> unanswered_;
};

}  // namespace sdxl
