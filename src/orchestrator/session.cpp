#include "orchestrator/session.h"

#include <cmath>
#include <optional>
#include <utility>

namespace sdxl {

struct Session::Request {
    ReplyTo reply;
    std::vector<std::string> warnings;
    std::string worker;
    Clock::time_point received = Clock::now();
    std::shared_ptr<CancelToken> token;
    std::optional<std::string> line;  // the answer, while earlier ones without an id are not there yet

    double seconds() const { return std::chrono::duration<double>(Clock::now() - received).count(); }
};

namespace {

std::shared_ptr<CancelToken> token_for(double timeout_seconds) {
    using Clock = CancelToken::Clock;
    constexpr double kLongest = 365.0 * 24 * 3600;
    if (!std::isfinite(timeout_seconds) || timeout_seconds <= 0 || timeout_seconds > kLongest)
        return std::make_shared<CancelToken>();
    return std::make_shared<CancelToken>(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                            std::chrono::duration<double>(timeout_seconds)));
}

template <class... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

Session::Session(Engine& engine, std::string default_worker, WriteLine write)
    : engine_(engine),
      workers_(engine),
      default_worker_(std::move(default_worker)),
      write_(std::move(write)) {}

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
    try {
        if (!message.command.ok())
            fail(message.command.error().code, message.command.error().message,
                 message.command.error().pointer);
        return handle(request, *message.command);
    } catch (...) {
        answer(request, answer_error(request->reply, current_error(), request->warnings, request->seconds()));
        return true;
    }
}

// Takes the request on, or answers it at once (in its turn) where too much is waiting.
std::shared_ptr<Session::Request> Session::accept(const Message& message) {
    auto request = std::make_shared<Request>();
    request->reply = message.reply;
    request->warnings = message.warnings;
    request->worker = message.worker.empty() ? default_worker_ : message.worker;
    request->token = token_for(message.timeout_seconds);
    // What is answered at once does not wait: a full queue can still be asked about, and stopped.
    const bool waits = message.command.ok() && (std::holds_alternative<GenerationRequest>(*message.command) ||
                                                std::holds_alternative<ModelLoadRequest>(*message.command));
    bool full = false;
    {
        const std::lock_guard lock(mutex_);
        full = waits && unanswered_.size() >= static_cast<std::size_t>(kMostUnanswered);
        unanswered_.emplace(request.get(), request);
        if (request->reply.id.empty()) in_order_.push_back(request);
    }
    if (!full) return request;
    answer(request, answer_error(request->reply,
                                 {ErrorCode::kQueueFull,
                                  std::to_string(kMostUnanswered) +
                                      " requests are waiting already: read their answers before sending more",
                                  ""},
                                 request->warnings, request->seconds()));
    return nullptr;
}

bool Session::handle(const std::shared_ptr<Request>& request, const Command& command) {
    const ReplyTo& to = request->reply;
    const auto& warnings = request->warnings;
    return std::visit(
        Overloaded{
            [&](const GenerationRequest& generation) {
                run(request, generation);
                return true;
            },
            [&](const ModelLoadRequest& load) {
                run(request, load);
                return true;
            },
            [&](const StatusRequest&) {
                answer(request, answer_status(to, engine_.status(), warnings, request->seconds()));
                return true;
            },
            [&](const CapabilitiesRequest&) {
                answer(request, answer_capabilities(to, engine_.status(), warnings, request->seconds()));
                return true;
            },
            [&](const InitializeRequest& initialize) {
                if (initialize.device_index != 0)
                    fail(ErrorCode::kInvalidRequest, "device_index is " +
                                                         std::to_string(initialize.device_index) +
                                                         ": this worker has one device, 0 (the CPU)");
                answer(request, answer_done(to, warnings, request->seconds()));
                return true;
            },
            [&](const StopRequest&) {
                answer(request, answer_done(to, warnings, request->seconds()));
                return false;
            },
        },
        command);
}

void Session::run(const std::shared_ptr<Request>& request, WorkerCommand command) {
    workers_.get(request->worker)
        .process_request(
            {std::move(command), request->token, nullptr},
            [this, request](const WorkerResponse& response) { answer_outcome(request, response); });
}

void Session::answer_outcome(const std::shared_ptr<Request>& request, const WorkerResponse& response) {
    const ReplyTo& to = request->reply;
    if (!response.ok())
        return answer(request, answer_error(to, response.error(), request->warnings, request->seconds()));
    if (const auto* result = std::get_if<GenerationResult>(&*response))
        return answer(request, answer_generation(to, *result, request->warnings, request->seconds()));
    answer(request, answer_model(to, std::get<ModelInfo>(*response), request->warnings, request->seconds()));
}

void Session::answer(const std::shared_ptr<Request>& request, std::string line) {
    // Written under the lock: the order in which answers leave is the order that was decided here.
    const std::lock_guard lock(mutex_);
    if (!request->reply.id.empty()) {
        write_(line);
    } else {
        request->line = std::move(line);
        for (; !in_order_.empty() && in_order_.front()->line; in_order_.pop_front())
            write_(*in_order_.front()->line);
    }
    unanswered_.erase(request.get());
    answered_.notify_all();
}

void Session::cancel_all() {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, request] : unanswered_) request->token->cancel();
}

void Session::drain() {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return unanswered_.empty(); });
}

bool Session::drain_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return answered_.wait_for(lock, time, [this] { return unanswered_.empty(); });
}

}  // namespace sdxl
