#include "engine/progress_meter.h"

#include <algorithm>
#include <cmath>

namespace sdxl {
namespace {

// In steps, as measured on a CPU at 512 and 1024 pixels (docs/performance.md).
constexpr double kLoadCost = 1.0;
constexpr double kEncodeCost = 0.05;
constexpr double kDecodeCost = 0.75;

}  // namespace

void ProgressMeter::begin(bool load, int pictures) {
    const std::lock_guard lock(mutex_);
    load_ = load;
    pictures_ = pictures;
    begin_ = Clock::now();
    pauses_ = {};  // those before do not count
}

void ProgressMeter::set_steps(int steps_of_a_picture) {
    const std::lock_guard lock(mutex_);
    steps_ = steps_of_a_picture;
}

void ProgressMeter::pause() {
    const std::lock_guard lock(mutex_);
    if (!paused_) paused_ = Clock::now();
}

void ProgressMeter::resume() {
    const std::lock_guard lock(mutex_);
    if (paused_) pauses_ += Clock::now() - *paused_;
    paused_.reset();
}

double ProgressMeter::elapsed() const {
    return std::chrono::duration<double>(Clock::now() - begin_ - pauses_).count();
}

double ProgressMeter::cost_done(const ProgressEvent& event) const {
    const double load = load_ ? kLoadCost : 0;
    const double part = event.total > 0 ? event.done / event.total : 0;
    switch (event.stage) {
        case Stage::kLoad:
            return load * part;
        case Stage::kEncode:
            return load + kEncodeCost * part;
        case Stage::kDenoise: {
            const double pictures = steps_ > 0 ? std::floor(event.done / steps_) : 0;
            return load + kEncodeCost + event.done + kDecodeCost * std::max(0.0, pictures - 1);
        }
        case Stage::kDecode:
        case Stage::kWrite:
            return load + kEncodeCost + (event.done + 1) * steps_ +
                   kDecodeCost * (event.done + (event.stage == Stage::kWrite ? 1 : 0));
    }
    return 0;
}

ProgressEvent ProgressMeter::tell(Stage stage, double done, double total) {
    const std::lock_guard lock(mutex_);
    ProgressEvent event;
    event.stage = stage;
    event.done = done;
    event.total = total;
    event.elapsed_seconds = elapsed();
    const double cost = cost_done(event);
    const double all =
        (load_ ? kLoadCost : 0) + kEncodeCost + pictures_ * (static_cast<double>(steps_) + kDecodeCost);
    const double before = last_ ? last_->percent : 0;
    event.percent = std::clamp(100 * cost / all, before, 100.0);
    if (stage == Stage::kDenoise && denoise_begin_ < 0) {
        denoise_begin_ = event.elapsed_seconds;
        denoise_cost_ = cost;
    }
    if (denoise_begin_ >= 0 && cost > denoise_cost_)
        event.seconds_left =
            std::max(0.0, all - cost) * (event.elapsed_seconds - denoise_begin_) / (cost - denoise_cost_);
    last_ = event;
    return event;
}

std::optional<ProgressEvent> ProgressMeter::last() const {
    const std::lock_guard lock(mutex_);
    auto event = last_;
    if (event && !paused_) event->elapsed_seconds = elapsed();
    return event;
}

}  // namespace sdxl
