#include "sampling/scheduler_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace sdxl {
namespace {

class SchedulerConfigFile : public testing::Test {
  protected:
    void SetUp() override {
        path_ = std::filesystem::path(testing::TempDir()) /
                (std::string("scheduler_config.") +
                 testing::UnitTest::GetInstance()->current_test_info()->name() + ".json");
    }
    void TearDown() override { std::filesystem::remove(path_); }
    LoadedSchedulerConfig load(const std::string& text) {
        std::ofstream(path_) << text;
        return load_scheduler_config(path_);
    }
    Error error(const std::string& text) {
        try {
            load(text);
        } catch (const Failure& failure) {
            return failure.error();
        }
        ADD_FAILURE() << "was accepted: " << text;
        return {};
    }

    std::filesystem::path path_;
};

// As stabilityai/stable-diffusion-xl-base-1.0 has it, with keys that only other schedulers read.
TEST_F(SchedulerConfigFile, ReadsThatOfSdxl) {
    const auto loaded = load(R"({"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0",
        "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false,
        "interpolation_type": "linear", "num_train_timesteps": 1000, "prediction_type": "epsilon",
        "sample_max_value": 1.0, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
        "timestep_spacing": "leading", "trained_betas": null, "use_karras_sigmas": false})");
    EXPECT_EQ(loaded.type, SchedulerType::kEuler);
    EXPECT_EQ(loaded.config.beta_schedule, BetaSchedule::kScaledLinear);
    EXPECT_EQ(loaded.config.timestep_spacing, TimestepSpacing::kLeading);
    EXPECT_EQ(loaded.config.steps_offset, 1);
    EXPECT_TRUE(loaded.unknown_keys.empty());
}

TEST_F(SchedulerConfigFile, ReadsWhatOtherSchedulersAdd) {
    const auto loaded = load(R"({"_class_name": "LCMScheduler", "original_inference_steps": 100,
        "timestep_scaling": 5.0, "clip_sample": true, "clip_sample_range": 2.5, "set_alpha_to_one": false,
        "skip_prk_steps": false, "variance_type": "fixed_large", "predict_x0": false, "solver_type": "bh1",
        "use_beta_sigmas": true, "use_exponential_sigmas": false})");
    EXPECT_EQ(loaded.type, SchedulerType::kLcm);
    EXPECT_EQ(loaded.config.original_inference_steps, 100);
    EXPECT_EQ(loaded.config.timestep_scaling, 5);
    EXPECT_TRUE(loaded.config.clip_sample);
    EXPECT_EQ(loaded.config.clip_sample_range, 2.5);
    EXPECT_FALSE(loaded.config.set_alpha_to_one);
    EXPECT_FALSE(loaded.config.skip_prk_steps);
    EXPECT_EQ(loaded.config.variance_type, VarianceType::kFixedLarge);
    EXPECT_FALSE(loaded.config.predict_x0);
    EXPECT_EQ(loaded.config.solver_type, DpmSolverType::kBh1);
    EXPECT_EQ(loaded.config.sigma_schedule, SigmaSchedule::kBeta);
    EXPECT_TRUE(loaded.unknown_keys.empty());
}

TEST_F(SchedulerConfigFile, PythonsInfinityMeansNotSet) {
    const auto loaded =
        load(R"({"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity,
        "sigma_max": NaN, "note": "Infinity \" NaN"})");
    EXPECT_EQ(loaded.type, SchedulerType::kDpmSolverMultistep);
    EXPECT_EQ(loaded.config.lambda_min_clipped, SchedulerConfig{}.lambda_min_clipped);
    EXPECT_EQ(loaded.unknown_keys, std::vector<std::string>{"note"});
}

TEST_F(SchedulerConfigFile, AnUnknownClassListsTheKnownOnes) {
    const auto found = error(R"({"_class_name": "FancyScheduler"})");
    EXPECT_EQ(found.code, ErrorCode::kUnsupported);
    EXPECT_NE(found.message.find("FancyScheduler"), std::string::npos);
    EXPECT_NE(found.message.find("EulerDiscreteScheduler"), std::string::npos);
}

TEST_F(SchedulerConfigFile, ValuesThatCannotBeHonouredAreErrors) {
    for (const char* field :
         {R"("beta_schedule": "sigmoid")", R"("timestep_spacing": "other")", R"("thresholding": true)",
          R"("timestep_type": "continuous")", R"("prediction_type": "flow")",
          R"("variance_type": "learned_range")", R"("algorithm_type": "x")"}) {
        const auto found = error(R"({"_class_name": "EulerDiscreteScheduler", )" + std::string(field) + "}");
        EXPECT_EQ(found.code, ErrorCode::kUnsupported) << field;
    }
    for (const char* field :
         {R"("beta_start": "0.1")", R"("steps_offset": -1)", R"("num_train_timesteps": 1)",
          R"("num_train_timesteps": 1.5)", R"("use_karras_sigmas": 1)", R"("solver_order": 4)",
          R"("trained_betas": [1, "2"])"}) {
        const auto found = error(R"({"_class_name": "EulerDiscreteScheduler", )" + std::string(field) + "}");
        EXPECT_EQ(found.code, ErrorCode::kInvalidModel) << field;
        EXPECT_NE(found.message.find(path_.string()), std::string::npos) << field;
    }
}

TEST_F(SchedulerConfigFile, BrokenFilesAreNamed) {
    for (const char* text : {"", "[]", "{", "{}"})
        EXPECT_EQ(error(text).code, ErrorCode::kInvalidModel) << text;
    std::filesystem::remove(path_);
    EXPECT_THROW(load_scheduler_config(path_), Failure);
}

}  // namespace
}  // namespace sdxl
