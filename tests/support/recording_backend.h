// A backend that computes by another, and has a recorder: recording takes down what is asked, replaying asks
// the other backend for it once more. What a device could not do in a recording is counted.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace sdxl {

struct RecordingCounts {
    int recordings = 0;
    int replays = 0;
    int living = 0;     // recordings that were not given back
    int refused = 0;    // values that went between host and device, and weights made, while one was replayed
    int ops = 0;        // that were asked for outside of a replay
    bool fail = false;  // to be set: recording fails
};

// `counts` outlives it.
std::unique_ptr<Backend> make_recording_backend(std::unique_ptr<Backend> by, RecordingCounts& counts);

}  // namespace sdxl
