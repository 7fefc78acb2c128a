// StepRecorder: the UNet's passes recorded once and replayed, where the backend can (backend/recorder.h).
//
// The first pass of a kind is asked of the device op by op, the second is recorded, and from then on what
// differs between passes (latents, time, what was made of the prompts, what control models add) is copied
// into the recording's own inputs and it is replayed; also for later requests. A pass of another kind ends
// the recording: other shapes or options, other control models or reference images, weights that came, went
// or were exchanged. It is not used while weights stream, or where the context traces ops. Where recording
// fails, passes go on op by op, and failure() says why.
//
// One for each model. Threads: as the model. Errors: Failure, of the pass.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/recorder.h"
#include "models/unet_2d_condition.h"
#include "ops/context.h"
#include "pipeline/weight_placement.h"

namespace sdxl {

class StepRecorder {
  public:
    // Refers to them. The backend has a recorder.
    StepRecorder(Backend& backend, const UNet2DConditionModel& unet, const WeightPlacement& weights);

    // As the network's forward(); the result is good until the next call.
    Tensor forward(const Context& ctx, const UNetInput& input, const UNetConditioning& conditioning,
                   const UNetOptions& options);
    // Whether passes may be recorded from now on. Ends the recording where not.
    void allow(bool allowed);
    // Gives back what the recording holds.
    void end();

    bool recorded() const { return recording_ != nullptr; }
    std::uint64_t replays() const { return replays_; }
    // Why there is none and will be none; "" where recording did not fail.
    const std::string& failure() const { return failure_; }

  private:
    // What a pass is made of. The recording has one of its own.
    struct Pass {
        UNetInput input;
        UNetConditioning conditioning;
        UNetOptions options;
    };
    static std::vector<Tensor*> tensors_of(Pass& pass);
    std::string kind_of(Pass& pass) const;
    Tensor run(const Context& ctx, const Pass& pass) const;
    bool record(const Context& ctx, const Pass& pass);
    void fill(Pass& pass);

    Backend& backend_;
    const UNet2DConditionModel& unet_;
    const WeightPlacement& weights_;
    bool allowed_ = true;
    std::string kind_;  // of the last pass; "" before the first
    std::unique_ptr<Pass> own_;
    // Where the values of own_'s tensors were copied from: what is there still need not be copied again.
    struct Source {
        std::weak_ptr<Storage> storage;
        std::size_t offset_bytes = 0;
    };
    std::vector<Source> sources_;
    std::unique_ptr<Recording> recording_;
    std::uint64_t replays_ = 0;
    std::string failure_;
};

}  // namespace sdxl
