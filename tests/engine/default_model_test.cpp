// Requests that name no model, and sizes that are left to the model.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine_fixture.h"
#include "micro_variants.h"

namespace sdxl {
namespace {

class DefaultModelTest : public EngineTest {
  protected:
    // A model of another native size: [height, width] in latents.
    void write_model(const std::string& name, const nlohmann::json& sample_size) const {
        const fs::path folder = folder_ / "models" / name;
        write_micro_variant(folder, micro_unet());
        auto config = nlohmann::json::parse(std::ifstream(SDXL_FIXTURES "/micro/unet/config.json"));
        config["sample_size"] = sample_size;
        std::ofstream(folder / "unet/config.json") << config;
    }
    void start(const std::string& default_model, bool demo = false, bool confine = false) {
        engine_.reset();
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        config.default_model = default_model;
        config.default_is_demo = demo;
        config.confine = confine;
        engine_ = make_engine(config);
    }
    static GenerationRequest of_model(const std::string& model) {
        GenerationRequest one = request();
        one.model = model;
        one.steps = 1;
        one.width_of_model = one.height_of_model = true;
        return one;
    }
    static bool warns(const GenerationResult& result, const std::string& words) {
        return std::any_of(result.warnings.begin(), result.warnings.end(), [&](const std::string& warning) {
            return warning.find(words) != std::string::npos;
        });
    }
    static void expect_size(const Result<GenerationResult>& result, int width, int height) {
        ASSERT_TRUE(result.ok()) << result.error().message;
        const Image image = decode_png(read(result->images[0].path));
        EXPECT_EQ(image.width, width);
        EXPECT_EQ(image.height, height);
        EXPECT_EQ(result->images[0].width, width);
        EXPECT_EQ(result->images[0].height, height);
    }
};

TEST_F(DefaultModelTest, StandsInWhereNoModelIsNamedAndNoneLoaded) {
    write_model("own", 16);
    write_model("other", 8);
    start("own", true);
    EXPECT_EQ(engine_->status().default_model, "own");
    EXPECT_TRUE(engine_->check(of_model("")).empty());
    for (int i = 0; i < 2; ++i) {
        const auto result = generate(of_model(""));
        expect_size(result, 128, 128);
        EXPECT_EQ(result->base_model, (folder_ / "models/own").string());
        EXPECT_TRUE(warns(*result,
                          "no model was named: the built-in demo model was used; it draws simple shapes at "
                          "128 x 128"))
            << "picture " << i;
    }
    EXPECT_FALSE(warns(*generate(of_model("own")), "no model was named"));
    // One that is loaded goes before it.
    ASSERT_TRUE(load("other").ok());
    const auto result = generate(of_model(""));
    expect_size(result, 64, 64);
    EXPECT_FALSE(warns(*result, "no model was named"));
}

TEST_F(DefaultModelTest, MayLieOutsideOfAConfinedWorkersModels) {
    start(SDXL_FIXTURES "/micro", false, true);
    EXPECT_EQ(generate(of_model(SDXL_FIXTURES "/micro")).error().code, ErrorCode::kInvalidRequest);
    const auto result = generate(of_model(""));
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_TRUE(warns(*result, "the default one was used, " SDXL_FIXTURES "/micro"));
}

TEST_F(DefaultModelTest, WithoutOneTheErrorSaysWhatToDo) {
    const auto result = generate(of_model(""));
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidRequest);
    EXPECT_NE(result.error().message.find("--default-model"), std::string::npos);
    ASSERT_FALSE(engine_->check(of_model("")).empty());
    EXPECT_EQ(engine_->check(of_model(""))[0].message, result.error().message);
    start("missing");
    EXPECT_EQ(generate(of_model("")).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(engine_->check(of_model(""))[0].code, ErrorCode::kNotFound);
}

TEST_F(DefaultModelTest, SizesAreTheModelsOwnEachForItself) {
    write_model("wide", {8, 20});
    expect_size(generate(of_model("wide")), 160, 64);
    GenerationRequest tall = of_model("wide");
    tall.height_of_model = false;
    tall.height = 96;
    expect_size(generate(tall), 160, 96);
    write_model("tiny", 1);  // below the smallest picture
    expect_size(generate(of_model("tiny")), 64, 64);
}

TEST_F(DefaultModelTest, SettingsAreWhatTheModelRecommends) {
    write_model("own", 8);
    const fs::path index = folder_ / "models/own/model_index.json";
    const auto recommend = [&](const nlohmann::json& steps, const nlohmann::json& guidance) {
        auto values = nlohmann::json::parse(std::ifstream(index));
        values["num_inference_steps"] = steps;
        values["guidance_scale"] = guidance;
        std::ofstream(index) << values;
        start("own");
    };
    recommend(3, 2.5);
    GenerationRequest asked = of_model("own");
    asked.steps.reset();
    auto result = generate(asked);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->steps, 3);
    EXPECT_EQ(result->guidance_scale, 2.5);
    asked.steps = 1;
    asked.guidance_scale = 4;
    EXPECT_EQ(generate(asked)->steps, 1) << "what is asked for goes before";
    EXPECT_EQ(generate(asked)->guidance_scale, 4);
    recommend(2.5, 3);
    EXPECT_TRUE(warns(*generate(of_model("own")), "'num_inference_steps' is not used"));
    recommend(0, "much");
    asked.guidance_scale.reset();
    result = generate(asked);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->guidance_scale, 7);
    EXPECT_TRUE(warns(*result, "'num_inference_steps' is not used: it is no number from 1 to 500"));
    EXPECT_TRUE(warns(*result, "'guidance_scale' is not used: it is no number from 0 to 50"));
}

TEST_F(DefaultModelTest, BatchesAndRefinersHaveTheModelsSize) {
    write_model("wide", {8, 10});
    write_micro_variant(folder_ / "models/refiner", micro_refiner(), MicroKind::kRefiner);
    GenerationRequest asked = of_model("wide");
    asked.batch_size = 2;
    asked.steps = 4;
    asked.refiner = RefinerRequest{"refiner", 0.5, std::nullopt};
    const auto result = generate(asked);
    expect_size(result, 80, 64);
    ASSERT_EQ(result->images.size(), 2U);
    EXPECT_EQ(result->images[1].width, 80);
    EXPECT_GT(result->refiner_steps, 0);
    // The picture of a request that says the same size.
    asked.width_of_model = asked.height_of_model = false;
    asked.width = 80;
    EXPECT_EQ(pixels(generate(asked)->images[1]), pixels(result->images[1]));
}

TEST_F(DefaultModelTest, AnInitialImageIsBroughtToTheSizeThatIsSettled) {
    write_model("wide", {8, 10});
    GenerationRequest asked = of_model("wide");
    asked.steps = 2;
    asked.strength = 0.5;
    asked.init_pixels = std::make_shared<Image>(Image{96, 96, 3, std::vector<std::uint8_t>(96 * 96 * 3, 90)});
    asked.height_of_model = false;
    asked.height = 72;
    expect_size(generate(asked), 80, 72);
}

}  // namespace
}  // namespace sdxl
