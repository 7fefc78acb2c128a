#include "app/stop_signals.h"

#include <poll.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

namespace sdxl {
namespace {

// What the handler may touch.
std::atomic<const WakePipe*> g_wake{nullptr};
std::atomic<bool> g_signalled{false};

void on_stop_signal(int) {
    g_signalled = true;
    if (const WakePipe* wake = g_wake.load()) wake->wake();
}

void wait_until_readable(int descriptor) {
    pollfd waited = {descriptor, POLLIN, 0};
    while (::poll(&waited, 1, -1) < 0 && errno == EINTR) {
    }
}

}  // namespace

StopSignals::StopSignals(std::function<void()> on_signal)
    : thread_([this, on_signal = std::move(on_signal)] {
          wait_until_readable(wake_.descriptor());
          if (g_signalled) on_signal();
      }) {
    g_wake = &wake_;
    std::signal(SIGTERM, on_stop_signal);
    std::signal(SIGINT, on_stop_signal);
}

StopSignals::~StopSignals() {
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    g_wake = nullptr;
    wake_.wake();
    thread_.join();
    g_signalled = false;
}

}  // namespace sdxl
