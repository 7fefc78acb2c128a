// Threading: the main thread reads lines; the engine's thread answers; a signal only sets a flag and wakes
// the reader.
#include "app/serve.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>

#include "core/log.h"
#include "orchestrator/session.h"
#include "transport/stdio_transport.h"

namespace sdxl {
namespace {

// What a signal handler may touch.
std::atomic<StdioTransport*> g_transport{nullptr};
std::atomic<bool> g_signalled{false};

void on_signal(int) {
    g_signalled = true;
    if (const StdioTransport* transport = g_transport.load()) transport->interrupt();
}

class SignalScope {
  public:
    explicit SignalScope(StdioTransport& transport) {
        g_transport = &transport;
        std::signal(SIGTERM, on_signal);
        std::signal(SIGINT, on_signal);
    }
    ~SignalScope() {
        std::signal(SIGTERM, SIG_DFL);
        std::signal(SIGINT, SIG_DFL);
        g_transport = nullptr;
    }
    SignalScope(const SignalScope&) = delete;
    SignalScope& operator=(const SignalScope&) = delete;
};

// Waits for the last answers. A signal cancels them, also one that comes after the end of input.
void finish(Session& session) {
    constexpr std::chrono::milliseconds kLook{50};
    bool cancelled = false;
    do {
        if (g_signalled && !cancelled) {
            log_info("stopping on a signal: what is not done is cancelled");
            session.cancel_all();
            cancelled = true;
        }
    } while (!session.drain_for(kLook));
}

}  // namespace

int serve(const AppOptions& options) {
    const int answers = take_over_stdout();
    StdioTransport transport(STDIN_FILENO, answers);
    const SignalScope signals(transport);
    const auto engine = make_engine(options.engine);
    log_info("ready: " + engine->status().device_name + ", backend " + engine->status().backend);
    Session session(*engine, options.worker, [&](const std::string& line) { transport.write_line(line); });
    while (const auto line = transport.read_line()) {
        if (!session.receive(*line)) break;
    }
    finish(session);
    log_info("done");
    return 0;
}

}  // namespace sdxl
