#include "request/status.h"

namespace sdxl {

std::string_view job_state_name(JobStatus::State state) {
    switch (state) {
        case JobStatus::State::kRunning:
            return "running";
        case JobStatus::State::kPaused:
            return "paused";
        case JobStatus::State::kWaiting:
            return "waiting";
    }
    return "";
}

}  // namespace sdxl
