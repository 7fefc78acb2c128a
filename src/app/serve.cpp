// Threading: the main thread reads lines; the engine's threads answer; the transport's thread writes; a
// signal is a call on a thread of its own.
#include "app/serve.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>

#include "app/stop_signals.h"
#include "core/log.h"
#include "engine/device_engines.h"
#include "orchestrator/session.h"
#include "transport/stdio_transport.h"

namespace sdxl {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A process that is told to stop is gone within 5 s: the engine gets most of it to end its step in peace.
constexpr milliseconds kEngineMayTake{4000};
constexpr milliseconds kHostMayTake{500};

bool is_regular_file(int descriptor) {
    struct stat info {};
    return ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
}

// How the end came about, and since when everything is being cancelled.
class Ending {
  public:
    Ending(Session& session, StdioTransport& transport) : session_(session), transport_(transport) {}

    // Any thread.
    void cancel(const char* why) {
        if (cancelled_.exchange(true)) return;
        log_info(std::string(why) + ": what is not done is cancelled");
        session_.cancel_all();
        transport_.interrupt();
    }

    // Waits for the last answers. False if that took too long after cancel().
    bool wait() {
        constexpr milliseconds kLook{50};
        std::optional<Clock::time_point> last;
        while (!session_.drain_for(kLook)) {
            if (transport_.host_gone()) cancel("nobody reads the answers any more");
            if (cancelled_ && !last) last = Clock::now() + kEngineMayTake;
            if (last && Clock::now() > *last) return false;
        }
        return true;
    }

    bool cancelled() const { return cancelled_; }

  private:
    Session& session_;
    StdioTransport& transport_;
    std::atomic<bool> cancelled_{false};
};

// Gives the host the time that it needs to read what is written; little of it after a signal.
void flush(StdioTransport& transport, const Ending& ending) {
    constexpr milliseconds kLook{50};
    const auto last = Clock::now() + kHostMayTake;
    while (!transport.flush_for(kLook) && !transport.host_gone()) {
        if (ending.cancelled() && Clock::now() > last) return log_warning("the last answers were not read");
    }
}

}  // namespace

int serve(const AppOptions& options) {
    const int answers = take_over_stdout();
    StdioTransport transport(STDIN_FILENO, answers, options.max_line_bytes);
    const auto engine = make_engine(options.engine);
    log_info("ready: " + engine->status().device_name + ", backend " + engine->status().backend);
    SessionOptions session_options = options.session;
    session_options.wait_when_full = is_regular_file(STDIN_FILENO);
    Session session(*engine, session_options,
                    {[&](std::string line) { transport.write_line(std::move(line)); },
                     [&] { return transport.congested(); }});
    Ending ending(session, transport);
    const StopSignals signals([&] { ending.cancel("stopping on a signal"); });
    bool asked_to_stop = false;
    while (const auto line = transport.read_line()) {
        if (session.receive(*line)) continue;
        asked_to_stop = true;
        break;
    }
    if (!asked_to_stop && options.on_eof == "stop") ending.cancel("end of input");
    if (!ending.wait()) {
        log_warning("the step in progress takes too long to wait for: ending without it");
        session.abandon();
        transport.flush_for(kHostMayTake);
        std::_Exit(0);
    }
    flush(transport, ending);
    log_info("done");
    return 0;
}

}  // namespace sdxl
