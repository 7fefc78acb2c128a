#include "sampling/distilled.h"

#include <cstddef>
#include <string>
#include <vector>

#include "core/error.h"
#include "sampling/step_layout.h"

namespace sdxl {

void DistilledScheduler::lay_out(const StepPlan& plan) {
    if (plan.steps == 0 || sigma_schedule_of(config()) != SigmaSchedule::kPlain)
        return TrainedTimestepScheduler::lay_out(plan);
    const int most = config().original_inference_steps;
    if (plan.steps < 1 || plan.steps > most)
        fail(ErrorCode::kInvalidRequest, "the number of steps is " + std::to_string(plan.steps) +
                                             ", expected 1 to " + std::to_string(most) +
                                             ", which the scheduler's model was distilled on");
    const int stride = config().num_train_timesteps / most;
    std::vector<int> visited(static_cast<std::size_t>(plan.steps));
    for (int i = 0; i < plan.steps; ++i)
        visited[static_cast<std::size_t>(i)] = (most - i * most / plan.steps) * stride - 1;
    visit(visited);
}

}  // namespace sdxl
