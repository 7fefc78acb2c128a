#include "sampling/scheduler_registry.h"

#include "core/error.h"
#include "sampling/dpm_solver_multistep.h"
#include "sampling/euler_ancestral_discrete.h"
#include "sampling/euler_discrete.h"

namespace sdxl {
namespace {

using Maker = std::unique_ptr<Scheduler> (*)(const SchedulerConfig&);

template <class T>
std::unique_ptr<Scheduler> make(const SchedulerConfig& config) {
    return std::make_unique<T>(config);
}

struct Row {
    SchedulerType type;
    Maker maker;
};

constexpr Row kSchedulers[] = {
    {SchedulerType::kEuler, &make<EulerDiscreteScheduler>},
    {SchedulerType::kEulerAncestral, &make<EulerAncestralDiscreteScheduler>},
    {SchedulerType::kDpmSolverMultistep, &make<DpmSolverMultistepScheduler>},
};

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(SchedulerType type, const SchedulerConfig& config) {
    for (const Row& row : kSchedulers)
        if (row.type == type) return row.maker(config);
    fail(ErrorCode::kInternal,
         "the scheduler " + std::string(scheduler_class_name(type)) + " is named but not built");
}

}  // namespace sdxl
