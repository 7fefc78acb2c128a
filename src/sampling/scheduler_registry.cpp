#include "sampling/scheduler_registry.h"

#include <string>

#include "core/error.h"
#include "sampling/ddim.h"
#include "sampling/ddpm.h"
#include "sampling/deis_multistep.h"
#include "sampling/dpm_solver_multistep.h"
#include "sampling/dpm_solver_sde.h"
#include "sampling/dpm_solver_singlestep.h"
#include "sampling/euler_ancestral_discrete.h"
#include "sampling/euler_discrete.h"
#include "sampling/heun_discrete.h"
#include "sampling/kdpm2_ancestral_discrete.h"
#include "sampling/kdpm2_discrete.h"
#include "sampling/lcm.h"
#include "sampling/lms_discrete.h"
#include "sampling/pndm.h"
#include "sampling/tcd.h"
#include "sampling/unipc_multistep.h"

namespace sdxl {
namespace {

using Maker = std::unique_ptr<Scheduler> (*)(const SchedulerConfig&);

template <class T>
std::unique_ptr<Scheduler> make(const SchedulerConfig& config) {
    return std::make_unique<T>(config);
}

// The samplers that are DPM-Solver multistep in one of its variants.
template <int kOrder, DpmAlgorithm kAlgorithm, DpmSolverType kSolver = DpmSolverType::kMidpoint>
std::unique_ptr<Scheduler> make_multistep(const SchedulerConfig& config) {
    SchedulerConfig variant = config;
    variant.solver_order = kOrder;
    variant.algorithm_type = kAlgorithm;
    variant.solver_type = kSolver;
    return make<DpmSolverMultistepScheduler>(variant);
}

struct Row {
    SchedulerType type;
    Maker maker;
    TimestepSpacing spacing = TimestepSpacing::kLinspace;
};

constexpr auto kOde = DpmAlgorithm::kDpmSolverPlusPlus;
constexpr auto kSde = DpmAlgorithm::kSdeDpmSolverPlusPlus;

constexpr Row kSchedulers[] = {
    {SchedulerType::kDdim, &make<DdimScheduler>, TimestepSpacing::kLeading},
    {SchedulerType::kDdpm, &make<DdpmScheduler>, TimestepSpacing::kLeading},
    {SchedulerType::kPndm, &make<PndmScheduler>, TimestepSpacing::kLeading},
    {SchedulerType::kLms, &make<LmsDiscreteScheduler>},
    {SchedulerType::kHeun, &make<HeunDiscreteScheduler>},
    {SchedulerType::kEuler, &make<EulerDiscreteScheduler>},
    {SchedulerType::kEulerAncestral, &make<EulerAncestralDiscreteScheduler>},
    {SchedulerType::kDpm2, &make<Kdpm2DiscreteScheduler>},
    {SchedulerType::kDpm2Ancestral, &make<Kdpm2AncestralDiscreteScheduler>},
    {SchedulerType::kDpmSolverMultistep, &make<DpmSolverMultistepScheduler>},
    {SchedulerType::kDpmPlusPlus2MSde, &make_multistep<2, kSde>},
    {SchedulerType::kDpmPlusPlus2MSdeHeun, &make_multistep<2, kSde, DpmSolverType::kHeun>},
    {SchedulerType::kDpmPlusPlus3M, &make_multistep<3, kOde>},
    // k-diffusion's second step, which is of order 2, has no midpoint form.
    {SchedulerType::kDpmPlusPlus3MSde, &make_multistep<3, kSde, DpmSolverType::kHeun>},
    {SchedulerType::kDpmSolverSde, &make<DpmSolverSdeScheduler>},
    {SchedulerType::kDpmSolverSinglestep, &make<DpmSolverSinglestepScheduler>},
    {SchedulerType::kUniPc, &make<UniPcMultistepScheduler>},
    {SchedulerType::kDeis, &make<DeisMultistepScheduler>},
    {SchedulerType::kLcm, &make<LcmScheduler>},
    {SchedulerType::kTcd, &make<TcdScheduler>},
};

const Row& row_of(SchedulerType type) {
    for (const Row& row : kSchedulers)
        if (row.type == type) return row;
    fail(ErrorCode::kInternal,
         "the scheduler " + std::string(scheduler_class_name(type)) + " is named but not built");
}

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(SchedulerType type, const SchedulerConfig& config) {
    SchedulerConfig complete = config;
    if (!complete.timestep_spacing) complete.timestep_spacing = default_spacing(type);
    return row_of(type).maker(complete);
}

TimestepSpacing default_spacing(SchedulerType type) {
    return row_of(type).spacing;
}

}  // namespace sdxl
