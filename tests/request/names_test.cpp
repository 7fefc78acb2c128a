#include "request/names.h"

#include <gtest/gtest.h>

#include <iterator>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace sdxl;

// Class names, the same without "Scheduler", enum names and community names.
TEST(SchedulerNames, EverySpellingThatHostsUse) {
    struct Row {
        SchedulerType type;
        std::vector<const char*> names;
    };
    const Row rows[] = {
        {SchedulerType::kDdim, {"DDIMScheduler", "DDIM", "ddim"}},
        {SchedulerType::kDdpm, {"DDPMScheduler", "DDPM"}},
        {SchedulerType::kPndm, {"PNDMScheduler", "PNDM", "PLMS"}},
        {SchedulerType::kLms, {"LMSDiscreteScheduler", "LMSDiscrete", "LMS", "k_lms"}},
        {SchedulerType::kHeun, {"HeunDiscreteScheduler", "HeunDiscrete", "Heun"}},
        {SchedulerType::kEuler, {"EulerDiscreteScheduler", "EulerDiscrete", "Euler", "euler", "EULER"}},
        {SchedulerType::kEulerAncestral,
         {"EulerAncestralDiscreteScheduler", "EulerAncestral", "Euler a", "euler_ancestral", "k_euler_a"}},
        {SchedulerType::kDpm2, {"KDPM2DiscreteScheduler", "KDPM2Discrete", "KDPM2", "DPM2", "dpm_2"}},
        {SchedulerType::kDpm2Ancestral,
         {"KDPM2AncestralDiscreteScheduler", "KDPM2Ancestral", "DPM2 a", "dpm_2_ancestral"}},
        {SchedulerType::kDpmSolverMultistep,
         {"DPMSolverMultistepScheduler", "DPMSolverMultistep", "DPM++ 2M", "DPM++", "dpmpp_2m"}},
        {SchedulerType::kDpmPlusPlus2MSde, {"DPM++ 2M SDE", "dpmpp_2m_sde"}},
        {SchedulerType::kDpmPlusPlus2MSdeHeun, {"DPM++ 2M SDE Heun"}},
        {SchedulerType::kDpmPlusPlus3M, {"DPM++ 3M", "dpmpp_3m"}},
        {SchedulerType::kDpmPlusPlus3MSde, {"DPM++ 3M SDE", "dpmpp_3m_sde"}},
        {SchedulerType::kDpmSolverSde, {"DPMSolverSDEScheduler", "DPMSolverSDE", "DPM++ SDE", "dpmpp_sde"}},
        {SchedulerType::kDpmSolverSinglestep,
         {"DPMSolverSinglestepScheduler", "DPMSolverSinglestep", "DPM++ 2S"}},
        {SchedulerType::kUniPc, {"UniPCMultistepScheduler", "UniPCMultistep", "UniPC"}},
        {SchedulerType::kDeis, {"DEISMultistepScheduler", "DEISMultistep", "DEIS"}},
        {SchedulerType::kLcm, {"LCMScheduler", "LCM"}},
        {SchedulerType::kTcd, {"TCDScheduler", "TCD"}},
    };
    EXPECT_EQ(std::size(rows), all_schedulers().size());
    for (const auto& row : rows)
        for (const char* name : row.names) {
            const auto choice = parse_scheduler(name);
            ASSERT_TRUE(choice) << name;
            EXPECT_EQ(choice->type, row.type) << name;
            EXPECT_FALSE(choice->sigmas) << name;
        }
}

TEST(SchedulerNames, ASigmaScheduleMayFollow) {
    struct Row {
        const char* name;
        SchedulerType type;
        SigmaSchedule sigmas;
    };
    const Row rows[] = {
        {"DPM++ 2M Karras", SchedulerType::kDpmSolverMultistep, SigmaSchedule::kKarras},
        {"DPM++ 2M SDE Karras", SchedulerType::kDpmPlusPlus2MSde, SigmaSchedule::kKarras},
        {"dpmpp_sde_karras", SchedulerType::kDpmSolverSde, SigmaSchedule::kKarras},
        {"DPM++ 3M SDE Exponential", SchedulerType::kDpmPlusPlus3MSde, SigmaSchedule::kExponential},
        {"Euler Beta", SchedulerType::kEuler, SigmaSchedule::kBeta},
        {"Euler a SGM Uniform", SchedulerType::kEulerAncestral, SigmaSchedule::kSgmUniform},
        {"DPM++ 2M AYS", SchedulerType::kDpmSolverMultistep, SigmaSchedule::kAlignYourSteps},
        {"UniPC Align Your Steps", SchedulerType::kUniPc, SigmaSchedule::kAlignYourSteps},
    };
    for (const auto& row : rows) {
        const auto choice = parse_scheduler(row.name);
        ASSERT_TRUE(choice) << row.name;
        EXPECT_EQ(choice->type, row.type) << row.name;
        EXPECT_EQ(choice->sigmas, row.sigmas) << row.name;
    }
}

TEST(SchedulerNames, OthersAreNotReplacedInSilence) {
    for (const char* name : {"", "Karras", "Eulerr", "DPM++ 2S a", "DPM adaptive", "IPNDM", "EDMEuler",
                             "Euler Karras Karras", "DPM 2M"})
        EXPECT_FALSE(parse_scheduler(name)) << name;
}

TEST(SchedulerNames, WhatIsOfferedIsUnderstood) {
    const auto known = known_schedulers();
    EXPECT_EQ(std::set<std::string>(known.begin(), known.end()).size(), known.size());
    for (const auto& name : known) EXPECT_TRUE(parse_scheduler(name)) << name;
    for (const auto type : all_schedulers()) {
        EXPECT_EQ(parse_scheduler(scheduler_title(type))->type, type);
        EXPECT_EQ(scheduler_class_name(parse_scheduler(scheduler_class_name(type))->type),
                  scheduler_class_name(type));
    }
}

TEST(SigmaScheduleNames, RoundTrip) {
    for (const auto v : {SigmaSchedule::kPlain, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                         SigmaSchedule::kBeta, SigmaSchedule::kSgmUniform, SigmaSchedule::kAlignYourSteps})
        EXPECT_EQ(parse_sigma_schedule(sigma_schedule_name(v)), v);
    EXPECT_EQ(parse_sigma_schedule("AYS"), SigmaSchedule::kAlignYourSteps);
    EXPECT_FALSE(parse_sigma_schedule("cosine"));
}

TEST(Names, RoundTrips) {
    for (const auto v : {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace})
        EXPECT_EQ(parse_timestep_spacing(timestep_spacing_name(v)), v);
    for (const auto v : {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample})
        EXPECT_EQ(parse_prediction_type(prediction_type_name(v)), v);
    for (const auto v : {RngKind::kCpu, RngKind::kPhilox}) EXPECT_EQ(parse_rng(rng_name(v)), v);
    for (const auto v :
         {Precision::kAuto, Precision::kF32, Precision::kBF16, Precision::kHalf, Precision::kInt8})
        EXPECT_EQ(parse_precision(precision_name(v)), v);
    EXPECT_EQ(parse_image_format("PNG"), ImageFormat::kPng);
}

TEST(Names, HalfPrecisionMeansTheBestSixteenBitType) {
    EXPECT_EQ(parse_precision("fp16"), Precision::kHalf);
    EXPECT_EQ(parse_precision("float16"), Precision::kHalf);
    EXPECT_FALSE(parse_precision("int3"));
}

}  // namespace
