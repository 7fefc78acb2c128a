// A one-line progress bar on stderr: stage, bar, count, time so far and time left.
//
// Used from one thread at a time. Draws nothing unless it was made for a terminal.
#pragma once

#include <chrono>

#include "request/generation.h"

namespace sdxl {

class ProgressBar {
  public:
    explicit ProgressBar(bool terminal) : terminal_(terminal) {}

    void show(const ProgressEvent& event);
    // Takes the bar off the terminal.
    void clear() const;

  private:
    using Clock = std::chrono::steady_clock;

    bool terminal_;
    Stage stage_ = Stage::kWrite;
    Clock::time_point stage_begin_ = Clock::now();
    Clock::time_point drawn_ = {};
};

}  // namespace sdxl
