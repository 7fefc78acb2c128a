// Threading: mutex_ guards everything below it in the class. Answers are handed to the output under it, so
// the order in which they leave is the order that was decided here. Nobody else's code is called under it but
// the output, which never waits.
#include "orchestrator/session.h"

#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

namespace sdxl {

struct Session::Request {
    ReplyTo reply;
    std::vector<std::string> warnings;
    std::string worker;
    JobContext context;
    Clock::time_point received = Clock::now();
    std::uint64_t number = 0;
    bool works = false;  // makes the engine work, so it waits, counts against the limit, and can be cancelled
    bool answered = false;
    std::optional<std::string> line;  // the answer, while earlier ones without an id are not there yet

    AnswerContext answer_context() const {
        return {reply, warnings, std::chrono::duration<double>(Clock::now() - received).count()};
    }
};

namespace {

// Finished answers without an id that may wait for an earlier one before no more lines are taken.
constexpr std::size_t kMostHeldBack = 4096;

std::shared_ptr<CancelToken> token_for(double timeout_seconds) {
    using Clock = CancelToken::Clock;
    constexpr double kLongest = 365.0 * 24 * 3600;
    if (!std::isfinite(timeout_seconds) || timeout_seconds <= 0 || timeout_seconds > kLongest)
        return std::make_shared<CancelToken>();
    return std::make_shared<CancelToken>(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                            std::chrono::duration<double>(timeout_seconds)));
}

Error stopping_error() {
    return {ErrorCode::kCancelled, "cancelled: the worker is stopping", ""};
}

// What one of the workers does, if it is that.
std::optional<WorkerCommand> worker_command(const Command& command) {
    return std::visit(
        [](const auto& one) -> std::optional<WorkerCommand> {
            if constexpr (std::is_constructible_v<WorkerCommand, decltype(one)>)
                return WorkerCommand(one);
            else
                return std::nullopt;
        },
        command);
}

}  // namespace

// What is answered on the spot. True if the session goes on.
class Session::Handler {
  public:
    Handler(Session& session, const RequestPtr& request)
        : session_(session), request_(request), context_(request->answer_context()) {}

    bool operator()(const StatusRequest&) const { return say(sdxl::answer(context_, session_.status())); }
    bool operator()(const CapabilitiesRequest&) const {
        return say(answer_capabilities(context_, session_.engine_.status()));
    }
    bool operator()(const InitializeRequest& initialize) const {
        session_.engine_.select_device(initialize.device);
        return say(answer_done(context_));
    }
    bool operator()(const CancelRequest& cancel) const {
        const auto ids = session_.cancel(cancel, request_);
        if (ids.empty() && !cancel.all)
            fail(ErrorCode::kNotFound,
                 "no request with the id '" + cancel.target +
                     "' is waiting or running; it may be answered already",
                 cancel.pointer);
        return say(answer_cancelled(context_, ids));
    }
    bool operator()(const ValidateRequest& validated) const {
        return say(answer_validation(
            context_, validated,
            validated.request ? session_.engine_.check(*validated.request) : std::vector<Error>{}));
    }
    bool operator()(const StopRequest&) const {
        say(answer_done(context_));
        return false;
    }
    template <class Work>
    bool operator()(const Work& work) const {
        session_.run(request_, WorkerCommand(work));
        return true;
    }

  private:
    bool say(std::string line) const {
        session_.answer(request_, std::move(line));
        return true;
    }

    Session& session_;
    const RequestPtr& request_;
    AnswerContext context_;
};

Session::Session(Engine& engine, SessionOptions options, SessionOutput output)
    : engine_(engine), options_(std::move(options)), output_(std::move(output)), workers_(engine) {}

Session::~Session() {
    drain();
}

bool Session::receive(const Result<std::string>& line) {
    Message message;
    if (line.ok()) {
        message = parse_message(*line);
    } else {
        message.command = line.error();
    }
    const auto request = accept(message);
    if (!request) return true;
    if (!message.command.ok()) {
        answer_failure(request, message.command.error());
        return true;
    }
    try {
        return std::visit(Handler(*this, request), *message.command);
    } catch (...) {
        answer_failure(request, current_error());
        return true;
    }
}

// Takes the request on, or answers it at once (in its turn) where it cannot.
Session::RequestPtr Session::accept(const Message& message) {
    auto request = std::make_shared<Request>();
    request->reply = message.reply;
    request->warnings = message.warnings;
    request->worker = message.worker.empty() ? options_.default_worker : message.worker;
    request->context.id = message.reply.id;
    request->context.priority = message.priority;
    request->context.token = token_for(message.timeout_seconds);
    request->context.wish = message.progress;
    // What is answered on the spot does not wait: a full queue can still be asked about, and stopped.
    const bool works = message.command.ok() && worker_command(*message.command).has_value();
    std::optional<Error> refusal;
    {
        std::unique_lock lock(mutex_);
        const auto full = [&] { return works && working_ >= options_.queue_limit; };
        answered_.wait(lock, [&] {
            return stopping_ || (in_order_.size() < kMostHeldBack && !(options_.wait_when_full && full()));
        });
        if (works && stopping_) {
            refusal = stopping_error();
        } else if (full()) {
            refusal = Error{ErrorCode::kQueueFull,
                            std::to_string(options_.queue_limit) +
                                " requests are waiting already: read their answers before sending more",
                            ""};
        }
        request->works = works && !refusal;
        request->number = counters_.received++;
        unanswered_.emplace(request->number, request);
        if (request->reply.id.empty()) in_order_.push_back(request);
        if (request->works) ++working_;
    }
    if (!refusal) return request;
    answer_failure(request, *refusal);
    return nullptr;
}

void Session::run(const RequestPtr& request, WorkerCommand command) {
    JobContext context = request->context;
    if (context.wish.every > 0)
        context.progress = [this, request](const ProgressEvent& event) { tell_progress(request, event); };
    workers_.get(request->worker)
        .process_request({std::move(command), std::move(context)},
                         [this, request](const WorkerResponse& response) {
                             if (!response.ok()) return answer_failure(request, response.error());
                             std::visit(
                                 [&](const auto& outcome) {
                                     answer(request, sdxl::answer(request->answer_context(), outcome));
                                 },
                                 *response);
                         });
}

std::vector<std::string> Session::cancel(const CancelRequest& wanted, const RequestPtr& asker) {
    std::vector<RequestPtr> found;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [number, request] : unanswered_)
            if (request->works && !request->answered && request != asker &&
                (wanted.all || request->reply.id == wanted.target))
                found.push_back(request);
    }
    std::vector<std::string> ids;
    for (const auto& request : found) {
        request->context.token->cancel();
        ids.push_back(request->reply.id);
    }
    return ids;
}

WorkerStatus Session::status() {
    WorkerStatus status;
    status.engine = engine_.status();
    const std::lock_guard lock(mutex_);
    status.requests = counters_;
    status.unanswered = static_cast<int>(unanswered_.size()) - 1;
    status.queue_limit = options_.queue_limit;
    status.uptime_seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    status.stopping = stopping_;
    return status;
}

void Session::tell_progress(const RequestPtr& request, const ProgressEvent& event) {
    if (output_.congested()) return;
    std::string line = progress_line(request->reply, event);
    const std::lock_guard lock(mutex_);
    if (request->answered) return;
    // Without an id a host can only tell by the order whose progress this is.
    if (request->reply.id.empty() && in_order_.front() != request) return;
    output_.write(std::move(line));
}

void Session::answer_failure(const RequestPtr& request, const Error& error) {
    answer(request, answer_error(request->answer_context(), error), &error);
}

void Session::answer(const RequestPtr& request, std::string line, const Error* error) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(request->answered, true)) return;
    count(error);
    if (!request->reply.id.empty()) {
        output_.write(std::move(line));
    } else {
        request->line = std::move(line);
        for (; !in_order_.empty() && in_order_.front()->line; in_order_.pop_front())
            output_.write(std::move(*in_order_.front()->line));
    }
    if (request->works) --working_;
    unanswered_.erase(request->number);
    answered_.notify_all();
}

void Session::count(const Error* error) {
    if (error == nullptr) {
        ++counters_.succeeded;
    } else if (error->code == ErrorCode::kCancelled) {
        ++counters_.cancelled;
    } else if (error->code == ErrorCode::kDeadlineExceeded) {
        ++counters_.timed_out;
    } else if (error->code == ErrorCode::kQueueFull) {
        ++counters_.refused;
    } else {
        ++counters_.failed;
    }
}

void Session::cancel_all() {
    std::vector<RequestPtr> requests;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        for (const auto& [number, request] : unanswered_) requests.push_back(request);
        answered_.notify_all();
    }
    for (const auto& request : requests) request->context.token->cancel();
}

void Session::drain() {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return unanswered_.empty(); });
}

bool Session::drain_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return answered_.wait_for(lock, time, [this] { return unanswered_.empty(); });
}

void Session::abandon() {
    std::vector<RequestPtr> requests;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [number, request] : unanswered_) requests.push_back(request);
    }
    for (const auto& request : requests) answer_failure(request, stopping_error());
}

}  // namespace sdxl
