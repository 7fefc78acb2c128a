// What LCM and TCD have in common: they visit timesteps of the few that their models were distilled on,
// whatever the spacing, and jump to a clean sample and back.
#pragma once

#include "sampling/trained_timesteps.h"

namespace sdxl {

class DistilledScheduler : public TrainedTimestepScheduler {
  protected:
    using TrainedTimestepScheduler::TrainedTimestepScheduler;

    // Fails with kInvalidRequest where more steps are asked for than the model was distilled on.
    void lay_out(const StepPlan& plan) override;
    bool is_last(int call) const { return call + 1 == calls(); }
};

}  // namespace sdxl
