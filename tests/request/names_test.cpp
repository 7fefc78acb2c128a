#include "request/names.h"

#include <gtest/gtest.h>

namespace {

using namespace sdxl;

TEST(SchedulerNames, EverySpellingThatHostsUse) {
    for (const char* name : {"EulerDiscreteScheduler", "EulerDiscrete", "Euler", "euler", "EULER"})
        EXPECT_EQ(parse_scheduler(name)->type, SchedulerType::kEuler) << name;
    for (const char* name :
         {"EulerAncestralDiscreteScheduler", "EulerAncestral", "Euler a", "euler_ancestral"})
        EXPECT_EQ(parse_scheduler(name)->type, SchedulerType::kEulerAncestral) << name;
    for (const char* name :
         {"DPMSolverMultistepScheduler", "DPMSolverMultistep", "DPM++ 2M", "DPM++", "dpmpp_2m"})
        EXPECT_EQ(parse_scheduler(name)->type, SchedulerType::kDpmSolverMultistep) << name;
}

TEST(SchedulerNames, KarrasIsPartOfTheName) {
    const auto choice = parse_scheduler("DPM++ 2M Karras");
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->type, SchedulerType::kDpmSolverMultistep);
    EXPECT_EQ(choice->karras, true);
    EXPECT_FALSE(parse_scheduler("DPM++ 2M")->karras.has_value());
}

TEST(SchedulerNames, OthersAreNotReplacedInSilence) {
    for (const char* name : {"", "DDIMScheduler", "DPM2", "DPM++ SDE", "Karras", "Eulerr", "UniPC"})
        EXPECT_FALSE(parse_scheduler(name)) << name;
}

TEST(SchedulerNames, WhatIsOfferedIsUnderstood) {
    EXPECT_FALSE(known_schedulers().empty());
    for (const auto& name : known_schedulers()) EXPECT_TRUE(parse_scheduler(name)) << name;
    for (const auto type :
         {SchedulerType::kEuler, SchedulerType::kEulerAncestral, SchedulerType::kDpmSolverMultistep})
        EXPECT_EQ(parse_scheduler(scheduler_class_name(type))->type, type);
}

TEST(Names, RoundTrips) {
    for (const auto v : {TimestepSpacing::kLeading, TimestepSpacing::kTrailing, TimestepSpacing::kLinspace})
        EXPECT_EQ(parse_timestep_spacing(timestep_spacing_name(v)), v);
    for (const auto v : {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample})
        EXPECT_EQ(parse_prediction_type(prediction_type_name(v)), v);
    for (const auto v : {RngKind::kCpu, RngKind::kPhilox}) EXPECT_EQ(parse_rng(rng_name(v)), v);
    for (const auto v : {Precision::kAuto, Precision::kF32, Precision::kBF16})
        EXPECT_EQ(parse_precision(precision_name(v)), v);
    EXPECT_EQ(parse_image_format("PNG"), ImageFormat::kPng);
}

TEST(Names, HalfPrecisionMeansTheBestSixteenBitType) {
    EXPECT_EQ(parse_precision("fp16"), Precision::kBF16);
    EXPECT_EQ(parse_precision("float16"), Precision::kBF16);
    EXPECT_FALSE(parse_precision("int3"));
}

}  // namespace
