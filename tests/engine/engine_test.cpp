// The engine on the micro model: jobs in, files and answers out, and what goes wrong in between.
#include "backend/onednn/onednn_backend.h"
#include "engine_fixture.h"
#include "rounding.h"

namespace {

using namespace sdxl;

bool has_bfloat16() {
    return make_onednn_backend()->supports(DType::kBF16);
}

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
    EXPECT_EQ(result->dtype, has_bfloat16() ? "bfloat16" : "float32");
    EXPECT_EQ(result->steps, 2);
    EXPECT_GT(result->load_seconds, 0);
}

TEST_F(EngineTest, ModelIsKeptBetweenRequests) {
    auto first = generate(request());
    ASSERT_TRUE(first.ok());
    auto second = generate(request());
    ASSERT_TRUE(second.ok());
    EXPECT_NE(first->images[0].path, second->images[0].path) << "the first picture was replaced";
    EXPECT_EQ(read(first->images[0].path), read(second->images[0].path));
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
    expect_as_alone(pixels(batch->images[1]), pixels(alone->images[0]), 0.01);
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
        engine_->submit(long_request, {}, [&](const Result<GenerationResult>& result) {
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

// A job that says when its n-th step is over, and another that is submitted then.
class EnginePreemption : public EngineTest {
  protected:
    // Runs `request` at low priority and, after its second step, `other` at high priority.
    std::pair<GenerationResult, GenerationResult> run_both(const GenerationRequest& request,
                                                           const GenerationRequest& other) {
        std::promise<Result<GenerationResult>> low;
        std::promise<Result<GenerationResult>> high;
        JobContext context;
        context.priority = Priority::kLow;
        context.wish.every = 1;
        context.progress = [&, submitted = false](const ProgressEvent& event) mutable {
            if (submitted || event.stage != Stage::kDenoise || event.done < 2) return;
            submitted = true;
            JobContext urgent;
            urgent.priority = Priority::kHigh;
            engine_->submit(other, urgent, [&](Result<GenerationResult> result) {
                order_.push_back("high");
                high.set_value(std::move(result));
            });
        };
        engine_->submit(request, context, [&](Result<GenerationResult> result) {
            order_.push_back("low");
            low.set_value(std::move(result));
        });
        auto first = low.get_future().get();
        auto second = high.get_future().get();
        EXPECT_TRUE(first.ok()) << first.error().message;
        EXPECT_TRUE(second.ok()) << second.error().message;
        return {*first, *second};
    }
    std::vector<std::string> order_;
};

TEST_F(EnginePreemption, ThePictureIsTheSameAloneAndPreempted) {
    auto one = request();
    one.steps = 6;
    auto two = request();
    two.seed = 77;
    const auto alone = pixels(generate(one)->images[0]);
    const auto other_alone = pixels(generate(two)->images[0]);
    const auto [low, high] = run_both(one, two);
    EXPECT_EQ(order_, (std::vector<std::string>{"high", "low"}));
    EXPECT_EQ(pixels(low.images[0]), alone);
    EXPECT_EQ(pixels(high.images[0]), other_alone);
    EXPECT_EQ(engine_->status().counters.preemptions, 1U);
    EXPECT_TRUE(low.warnings.empty());
}

TEST_F(EnginePreemption, AlsoWhenTheOtherNeedsAnotherModel) {
    if (!has_bfloat16()) GTEST_SKIP() << "this processor computes in float32 alone: there is no other model";
    auto one = request();
    one.steps = 6;
    auto two = request();
    two.precision = Precision::kF32;  // the same files, loaded in another type
    const auto alone = pixels(generate(one)->images[0]);
    const auto [low, high] = run_both(one, two);
    EXPECT_EQ(order_, (std::vector<std::string>{"high", "low"}));
    EXPECT_EQ(pixels(low.images[0]), alone);
    EXPECT_EQ(high.dtype, "float32");
    ASSERT_EQ(low.warnings.size(), 1U);
    EXPECT_NE(low.warnings[0].find("loaded again"), std::string::npos);
}

TEST_F(EngineTest, StatusTellsWhatRunsAndWhatWaits) {
    auto long_request = request();
    long_request.steps = 500;
    std::promise<void> stepped;
    JobContext context;
    context.id = "long";
    context.wish.every = 1;
    context.progress = [&, told = false](const ProgressEvent& event) mutable {
        if (!told && event.stage == Stage::kDenoise && event.done >= 2) {
            told = true;
            stepped.set_value();
        }
    };
    std::promise<void> ended;
    engine_->submit(long_request, context, [&](const Result<GenerationResult>&) { ended.set_value(); });
    JobContext waiting;
    waiting.id = "next";
    waiting.priority = Priority::kLow;
    std::promise<ErrorCode> next;
    engine_->submit(request(), waiting,
                    [&](const Result<GenerationResult>& result) { next.set_value(result.error().code); });
    stepped.get_future().wait();
    const EngineStatus status = engine_->status();
    ASSERT_EQ(status.jobs.size(), 2U);
    EXPECT_EQ(status.jobs[0].id, "long");
    EXPECT_EQ(status.jobs[0].state, JobStatus::State::kRunning);
    ASSERT_TRUE(status.jobs[0].progress.has_value());
    EXPECT_EQ(status.jobs[0].progress->stage, Stage::kDenoise);
    EXPECT_EQ(status.jobs[0].progress->total, 500);
    EXPECT_TRUE(status.jobs[0].progress->seconds_left.has_value());
    EXPECT_EQ(status.jobs[1].id, "next");
    EXPECT_EQ(status.waiting_by_priority, (std::array<int, kPriorities>{1, 0, 0, 0}));
    waiting.token->cancel();
    EXPECT_EQ(next.get_future().get(), ErrorCode::kCancelled);  // at once, not behind the long one
    EXPECT_EQ(engine_->status().jobs.size(), 1U);
    context.token->cancel();
    ended.get_future().wait();
}

TEST_F(EngineTest, ProgressRisesToTheEndAndPreviewsAreSmallPictures) {
    std::vector<ProgressEvent> told;
    JobContext context;
    context.wish = {2, true};
    context.progress = [&](const ProgressEvent& event) { told.push_back(event); };
    auto two = request();
    two.steps = 5;
    two.batch_size = 2;
    ASSERT_TRUE(run<GenerationResult>(two, context).ok());
    int previews = 0;
    std::vector<double> steps;
    for (std::size_t i = 0; i < told.size(); ++i) {
        EXPECT_GE(told[i].percent, i > 0 ? told[i - 1].percent : 0);
        EXPECT_LE(told[i].percent, 100);
        if (told[i].stage == Stage::kDenoise) steps.push_back(told[i].done);
        if (!told[i].preview) continue;
        ++previews;
        EXPECT_EQ(told[i].preview->width, 8);
    }
    // Both are made together.
    EXPECT_EQ(steps, (std::vector<double>{0, 4, 8, 10}));
    EXPECT_EQ(previews, 4);
    EXPECT_GT(told.back().percent, 80);
}

TEST_F(EngineTest, UnloadAndCleanup) {
    ASSERT_TRUE(generate(request()).ok());
    EXPECT_EQ(run<ModelUnloadResult>(ModelUnloadRequest{"nobody"}).error().code, ErrorCode::kNotFound);
    const auto unloaded = run<ModelUnloadResult>(ModelUnloadRequest{"micro"});
    ASSERT_TRUE(unloaded.ok());
    EXPECT_EQ(unloaded->models, std::vector<std::string>{"micro"});
    EXPECT_TRUE(engine_->status().models.empty());
    EXPECT_TRUE(run<ModelUnloadResult>(ModelUnloadRequest{""})->models.empty());
    ASSERT_TRUE(generate(request()).ok());
    EXPECT_TRUE(run<CleanupResult>(CleanupRequest{})->unloaded.empty());
    EXPECT_EQ(engine_->status().models.size(), 1U);
    const auto cleaned = run<CleanupResult>(CleanupRequest{true});
    EXPECT_EQ(cleaned->unloaded, std::vector<std::string>{"micro"});
    EXPECT_GT(cleaned->memory_used_bytes, 0U);
}

TEST_F(EngineTest, ModelInfoReadsHeadersAndListsWhatIsThere) {
    const auto one = engine_->model_info({SDXL_FIXTURES "/micro"});
    ASSERT_TRUE(one.ok()) << one.error().message;
    EXPECT_EQ(one->at(0).kind, "sdxl-base");
    EXPECT_FALSE(one->at(0).loaded);
    EXPECT_GT(one->at(0).size_bytes, 1000U);
    EXPECT_EQ(engine_->model_info({"nobody"}).error().code, ErrorCode::kNotFound);
    std::ofstream(folder_ / "models" / "broken.safetensors") << "not a model";
    ASSERT_TRUE(load(SDXL_FIXTURES "/micro").ok());
    const auto all = engine_->model_info({""});
    ASSERT_TRUE(all.ok());
    ASSERT_EQ(all->size(), 2U);
    EXPECT_TRUE(all->at(0).loaded);
    EXPECT_EQ(all->at(1).id, "broken");
    EXPECT_FALSE(all->at(1).warnings.empty());
}

TEST_F(EngineTest, CheckFindsWhatWouldFail) {
    EXPECT_TRUE(engine_->check(request()).empty());
    auto bad = request();
    bad.model = "nobody";
    std::ofstream(folder_ / "file") << "x";
    bad.save_path = (folder_ / "file" / "picture.png").string();
    const auto errors = engine_->check(bad);
    ASSERT_EQ(errors.size(), 2U);
    EXPECT_EQ(errors[0].code, ErrorCode::kNotFound);
    EXPECT_EQ(errors[1].code, ErrorCode::kIo);
    EXPECT_EQ(files_in_output(), 0U);
}

TEST_F(EngineTest, KeptPixelsFeedTheNextAndNeedNoFile) {
    auto first = request();
    first.keep_pixels = true;
    const auto made = generate(first);
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_TRUE(made->images.at(0).pixels);
    EXPECT_EQ(made->images[0].path, "");
    EXPECT_EQ(files_in_output(), 0U);
    auto second = request();
    second.init_pixels = made->images[0].pixels;
    second.strength = 0.5;
    const auto next = generate(second);
    ASSERT_TRUE(next.ok()) << next.error().message;
    EXPECT_EQ(next->steps, 1);
}

TEST_F(EngineTest, ConfinementHoldsModelsAndPicturesInside) {
    EngineConfig config;
    config.models_dir = SDXL_FIXTURES;
    config.output_dir = (folder_ / "out").string();
    config.confine = true;
    engine_ = make_engine(config);
    auto inside = request();
    inside.model = "micro";
    inside.save_path = "sub/picture.png";
    const auto made = generate(inside);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->images[0].path, fs::weakly_canonical(folder_ / "out/sub/picture.png"));
    auto outside = inside;
    outside.save_path = "../picture.png";
    EXPECT_EQ(generate(outside).error().code, ErrorCode::kInvalidRequest);
    fs::create_directory_symlink(folder_, folder_ / "out" / "link");
    outside.save_path = "link/picture.png";
    EXPECT_EQ(generate(outside).error().code, ErrorCode::kInvalidRequest);
    outside = inside;
    outside.model = "/etc/hostname";
    EXPECT_EQ(generate(outside).error().code, ErrorCode::kInvalidRequest);
}

TEST_F(EngineTest, AModelThatChangesMeanwhileIsNotMixed) {
    fs::copy(SDXL_FIXTURES "/micro", folder_ / "models" / "mine", fs::copy_options::recursive);
    auto one = request();
    one.model = "mine";
    one.steps = 4;
    const auto result = generate(one, std::make_shared<CancelToken>(), [&](const ProgressEvent& event) {
        if (event.stage == Stage::kDenoise && event.done == 1)
            std::ofstream(folder_ / "models" / "mine" / "model_index.json", std::ios::app) << " ";
    });
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidModel);
    EXPECT_NE(result.error().message.find("was changed"), std::string::npos) << result.error().message;
}

TEST(MakeEngine, RefusesWhatIsNotThere) {
    EngineConfig config;
    config.devices.device = "cuda:0";
    EXPECT_THROW(make_engine(config), Failure);
    config.devices.device = "cpu";
    config.devices.backend = "vulkan";
    EXPECT_THROW(make_engine(config), Failure);
    config.devices.backend = "reference";
    EXPECT_EQ(make_engine(config)->status().backend, "reference");
}

}  // namespace
