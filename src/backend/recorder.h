// Recorder: what a backend may have beside its ops. It takes down what a pass through a network asks of the
// device once, and has the device do the same again without being asked op by op: CUDA's graphs.
//
// A recording reads and writes the memory that it was recorded on, so inputs are put into tensors that stay,
// by copy(), and whoever replays sees to it that what it reads is still there: weights, and these inputs. Its
// own memory (of all that it computes) goes with it. Threads and errors: as Backend.
#pragma once

#include <functional>
#include <memory>

#include "tensor/tensor.h"

namespace sdxl {

class Recording {
  public:
    virtual ~Recording() = default;
    // Its result, which the next replay overwrites.
    virtual Tensor replay() = 0;
};

class Recorder {
  public:
    virtual ~Recorder() = default;
    // The values of `from` over those of `to`. REQUIRES: one shape and element type, `to` contiguous.
    virtual void copy(const Tensor& from, const Tensor& to) = 0;
    // Nothing is computed yet. REQUIRES: `work` did the same once before on this backend; it takes no values
    // from the host and brings none there, and what it refers to lives as long as the recording.
    virtual std::unique_ptr<Recording> record(std::function<Tensor()> work) = 0;
};

}  // namespace sdxl
