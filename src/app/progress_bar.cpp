#include "app/progress_bar.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace sdxl {
namespace {

constexpr int kWidth = 30;
constexpr std::chrono::milliseconds kRedraw{100};

std::string count_text(const ProgressEvent& event) {
    char text[64];
    if (event.stage == Stage::kLoad) {
        std::snprintf(text, sizeof text, "%.2f / %.2f GB", event.done / 1e9, event.total / 1e9);
    } else {
        std::snprintf(text, sizeof text, "%.0f / %.0f", event.done, event.total);
    }
    return text;
}

}  // namespace

void ProgressBar::show(const ProgressEvent& event) {
    if (!terminal_) return;
    const auto now = Clock::now();
    if (event.stage != stage_) {
        stage_ = event.stage;
        stage_begin_ = now;
    } else if (now - drawn_ < kRedraw && event.done < event.total) {
        return;
    }
    drawn_ = now;
    const double part = event.total > 0 ? std::clamp(event.done / event.total, 0.0, 1.0) : 0.0;
    const int filled = static_cast<int>(part * kWidth);
    const double elapsed = std::chrono::duration<double>(now - stage_begin_).count();
    std::string left;
    if (part > 0 && part < 1) {
        char text[32];
        std::snprintf(text, sizeof text, ", %.0f s left", elapsed / part * (1 - part));
        left = text;
    }
    std::fprintf(stderr, "\r\033[K%-8s [%s%s] %s, %.0f s%s", std::string(stage_name(event.stage)).c_str(),
                 std::string(static_cast<std::size_t>(filled), '#').c_str(),
                 std::string(static_cast<std::size_t>(kWidth - filled), ' ').c_str(),
                 count_text(event).c_str(), elapsed, left.c_str());
}

void ProgressBar::clear() const {
    if (terminal_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace sdxl
