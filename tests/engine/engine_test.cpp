// The engine on the micro model: jobs in, files and answers out, and what goes wrong in between.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>

#include "image/png.h"

namespace {

namespace fs = std::filesystem;
using namespace sdxl;

class EngineTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ =
            fs::temp_directory_path() /
            ("sdxl_engine_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
        fs::create_directories(folder_ / "models");
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        engine_ = make_engine(config);
    }
    void TearDown() override {
        engine_.reset();
        fs::remove_all(folder_);
    }

    static GenerationRequest request() {
        GenerationRequest request;
        request.model = SDXL_FIXTURES "/micro";
        request.prompt = "a b";
        request.width = 64;
        request.height = 64;
        request.steps = 2;
        request.seed = 5;
        request.id = "job/1";
        return request;
    }

    Result<GenerationResult> generate(const GenerationRequest& request,
                                      std::shared_ptr<CancelToken> token = std::make_shared<CancelToken>(),
                                      ProgressSink progress = nullptr) {
        std::promise<Result<GenerationResult>> promise;
        engine_->submit(request, std::move(token), std::move(progress),
                        [&](Result<GenerationResult> result) { promise.set_value(std::move(result)); });
        return promise.get_future().get();
    }

    Result<ModelInfo> load(const std::string& model) {
        std::promise<Result<ModelInfo>> promise;
        engine_->submit(ModelLoadRequest{model, Precision::kAuto, ""}, std::make_shared<CancelToken>(),
                        nullptr, [&](Result<ModelInfo> result) { promise.set_value(std::move(result)); });
        return promise.get_future().get();
    }

    static std::vector<std::uint8_t> read(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::size_t files_in_output() const {
        if (!fs::exists(folder_ / "out")) return 0;
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(folder_ / "out"), fs::directory_iterator()));
    }

    fs::path folder_;
    std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, MakesAPictureFile) {
    auto result = generate(request());
    ASSERT_TRUE(result.ok()) << result.error().message;
    ASSERT_EQ(result->images.size(), 1U);
    EXPECT_EQ(fs::path(result->images[0].path).filename(), "job_1_5.png");
    ImageText text;
    const Image image = decode_png(read(result->images[0].path), &text);
    EXPECT_EQ(image.width, 64);
    EXPECT_EQ(image.height, 64);
    ASSERT_FALSE(text.empty());
    EXPECT_NE(text[0].second.find("Seed: 5"), std::string::npos);
    EXPECT_EQ(result->dtype, "bfloat16");
    EXPECT_EQ(result->steps, 2);
    EXPECT_GT(result->load_seconds, 0);
}

TEST_F(EngineTest, ModelIsKeptBetweenRequests) {
    auto first = generate(request());
    ASSERT_TRUE(first.ok());
    auto second = generate(request());
    ASSERT_TRUE(second.ok());
    EXPECT_NE(first->images[0].path, second->images[0].path) << "the first picture was replaced";
    EXPECT_EQ(first->images[0].encoded, second->images[0].encoded);
    EXPECT_EQ(second->load_seconds, 0);
    ASSERT_EQ(engine_->status().models.size(), 1U);
    EXPECT_EQ(engine_->status().models[0].id, "micro");
}

TEST_F(EngineTest, BatchEqualsPicturesAskedForAlone) {
    auto batch_request = request();
    batch_request.batch_size = 2;
    auto batch = generate(batch_request);
    ASSERT_TRUE(batch.ok()) << batch.error().message;
    ASSERT_EQ(batch->images.size(), 2U);
    auto alone_request = request();
    alone_request.seed = 6;
    auto alone = generate(alone_request);
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(decode_png(batch->images[1].encoded).pixels, decode_png(alone->images[0].encoded).pixels);
    EXPECT_EQ(batch->images[1].seed, 6U);
}

TEST_F(EngineTest, BrokenModelCostsNothingElse) {
    ASSERT_TRUE(generate(request()).ok());
    std::ofstream(folder_ / "models" / "broken.safetensors") << "not a model";
    const auto broken = load("broken");
    ASSERT_FALSE(broken.ok());
    EXPECT_EQ(broken.error().code, ErrorCode::kInvalidModel);
    EXPECT_NE(broken.error().message.find("broken.safetensors"), std::string::npos) << broken.error().message;
    EXPECT_TRUE(generate(request()).ok());
}

TEST_F(EngineTest, UnknownModelAndNoModel) {
    auto unknown = request();
    unknown.model = "nowhere";
    EXPECT_EQ(generate(unknown).error().code, ErrorCode::kNotFound);
    unknown.model = "";
    EXPECT_EQ(generate(unknown).error().code, ErrorCode::kInvalidRequest);
}

TEST_F(EngineTest, CancelInEveryStageLeavesNothingBehind) {
    for (const Stage stage : {Stage::kLoad, Stage::kEncode, Stage::kDenoise, Stage::kDecode, Stage::kWrite}) {
        SetUp();
        auto token = std::make_shared<CancelToken>();
        const auto result = generate(request(), token, [&](const ProgressEvent& event) {
            if (event.stage == stage) token->cancel();
        });
        ASSERT_FALSE(result.ok()) << stage_name(stage);
        EXPECT_EQ(result.error().code, ErrorCode::kCancelled) << stage_name(stage);
        EXPECT_EQ(files_in_output(), 0U) << stage_name(stage);
        EXPECT_TRUE(generate(request()).ok()) << stage_name(stage);
        TearDown();
    }
    SetUp();
}

TEST_F(EngineTest, DeadlineIsKept) {
    const auto token = std::make_shared<CancelToken>(CancelToken::Clock::now());
    EXPECT_EQ(generate(request(), token).error().code, ErrorCode::kDeadlineExceeded);
}

TEST_F(EngineTest, EveryJobIsAnsweredWhenTheEngineGoes) {
    std::atomic<int> answers{0};
    for (int i = 0; i < 5; ++i) {
        auto long_request = request();
        long_request.steps = 500;
        engine_->submit(long_request, std::make_shared<CancelToken>(), nullptr,
                        [&](Result<GenerationResult> result) {
                            EXPECT_FALSE(result.ok());
                            ++answers;
                        });
    }
    engine_.reset();
    EXPECT_EQ(answers.load(), 5);
}

TEST_F(EngineTest, UnwritableSavePathIsAnError) {
    auto other = request();
    std::ofstream(folder_ / "file") << "x";
    other.save_path = (folder_ / "file" / "picture.png").string();
    const auto result = generate(other);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kIo);
    EXPECT_NE(result.error().message.find("picture.png"), std::string::npos);
}

TEST_F(EngineTest, Float32WhereAsked) {
    auto other = request();
    other.precision = Precision::kF32;
    EXPECT_EQ(generate(other)->dtype, "float32");
}

TEST(MakeEngine, RefusesWhatIsNotThere) {
    EngineConfig config;
    config.device = "cuda:0";
    EXPECT_THROW(make_engine(config), Failure);
    config.device = "cpu";
    config.backend = "torch";
    EXPECT_THROW(make_engine(config), Failure);
    config.backend = "reference";
    EXPECT_EQ(make_engine(config)->status().backend, "reference");
}

}  // namespace
