// How far a generation is, in percent and in seconds, from what its stages typically cost.
//
// Written by the loop thread, read by any.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "request/generation.h"

namespace sdxl {

class ProgressMeter {
  public:
    using Clock = std::chrono::steady_clock;

    // `load`: whether the model has to be loaded first.
    void begin(bool load, int pictures);
    void set_steps(int steps_of_a_picture);
    // A stage begins, or a part of it is done: what ProgressEvent::done and total say.
    ProgressEvent tell(Stage stage, double done, double total);
    // The last that was told; absent before the first.
    std::optional<ProgressEvent> last() const;
    // Time between these does not count: the job is set aside.
    void pause();
    void resume();

  private:
    double cost_done(const ProgressEvent& event) const;
    double elapsed() const;

    mutable std::mutex mutex_;
    std::optional<ProgressEvent> last_;
    bool load_ = false;
    int pictures_ = 1;
    int steps_ = 1;
    Clock::time_point begin_;
    std::optional<Clock::time_point> paused_;
    Clock::duration pauses_{0};
    double denoise_begin_ = -1;  // elapsed seconds when the first step began
    double denoise_cost_ = 0;    // and the cost that was done by then
};

}  // namespace sdxl
