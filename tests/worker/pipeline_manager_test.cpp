// What the pipeline manager makes of requests with several generations.
#include "worker/pipeline_manager.h"

#include <gtest/gtest.h>

#include <optional>

#include "fake_engine.h"

namespace sdxl {
namespace {

GenerationRequest picture(const std::string& prompt) {
    GenerationRequest request;
    request.prompt = prompt;
    return request;
}

class PipelineManagerTest : public testing::Test {
  protected:
    void run(WorkerCommand command, JobContext context = {}) {
        worker->process_request({std::move(command), std::move(context)}, [this](WorkerResponse response) {
            EXPECT_FALSE(answer) << "answered twice";
            answer = std::move(response);
        });
    }

    FakeEngine engine;
    std::unique_ptr<Worker> worker = make_pipeline_manager(engine);
    std::optional<WorkerResponse> answer;
};

TEST_F(PipelineManagerTest, ABatchAnswersWhenTheLastItemHasEnded) {
    BatchRequest batch;
    for (const char* prompt : {"a", "fails", "c"})
        batch.items.push_back({picture(prompt), {"of " + std::string(prompt)}});
    run(batch);
    ASSERT_EQ(engine.seen.size(), 3u);
    engine.finish_next();
    engine.finish_next();
    EXPECT_FALSE(answer);
    engine.finish_next();
    ASSERT_TRUE(answer && answer->ok());
    const auto& items = std::get<BatchResult>(**answer).items;
    ASSERT_EQ(items.size(), 3u);
    EXPECT_EQ(items[0].result->images.at(0).path, "/out/a.png");
    EXPECT_EQ(items[1].result.error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(items[2].result->images.at(0).path, "/out/c.png");
    EXPECT_EQ(items[2].warnings, std::vector<std::string>{"of c"});
}

TEST_F(PipelineManagerTest, ABatchOfBadItemsNeverReachesTheEngine) {
    BatchRequest batch;
    batch.items.push_back({Error{ErrorCode::kInvalidRequest, "bad", "/0"}, {}});
    run(batch);
    ASSERT_TRUE(answer && answer->ok());
    EXPECT_EQ(std::get<BatchResult>(**answer).items.at(0).result.error().pointer, "/0");
    EXPECT_TRUE(engine.seen.empty());
    answer.reset();
    run(BatchRequest{});
    ASSERT_TRUE(answer && answer->ok());
}

TEST_F(PipelineManagerTest, PartsShareTokenAndPriorityAndTheirProgressIsThatOfTheWhole) {
    BatchRequest batch;
    for (int i = 0; i < 4; ++i) batch.items.push_back({picture("p"), {}});
    std::vector<ProgressEvent> told;
    JobContext context;
    context.priority = Priority::kHigh;
    context.progress = [&](const ProgressEvent& event) { told.push_back(event); };
    run(batch, context);
    for (const auto& one : engine.contexts) {
        EXPECT_EQ(one.token, context.token);
        EXPECT_EQ(one.priority, Priority::kHigh);
    }
    engine.finish_all();
    ASSERT_EQ(told.size(), 4u);
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(told[static_cast<std::size_t>(i)].part, i);
        EXPECT_EQ(told[static_cast<std::size_t>(i)].parts, 4);
        EXPECT_DOUBLE_EQ(told[static_cast<std::size_t>(i)].percent, 25.0 * i + 12.5);
    }
}

StagesRequest stages(std::initializer_list<const char*> prompts) {
    StagesRequest request;
    for (const char* prompt : prompts) {
        request.stages.push_back({prompt, picture(prompt)});
        request.stages.back().request.keep_pixels = true;
    }
    request.stages.back().request.keep_pixels = false;
    return request;
}

TEST_F(PipelineManagerTest, EachStageTakesUpThePictureBefore) {
    run(stages({"one", "two", "three"}));
    EXPECT_EQ(engine.seen.size(), 1u);
    engine.finish_all();
    ASSERT_EQ(engine.seen.size(), 3u);
    EXPECT_EQ(engine.seen[0].init_pixels.get(), nullptr);
    EXPECT_NE(engine.seen[1].init_pixels.get(), nullptr);
    EXPECT_NE(engine.seen[2].init_pixels.get(), nullptr);
    ASSERT_TRUE(answer && answer->ok());
    const auto& result = std::get<StagesResult>(**answer);
    ASSERT_EQ(result.stages.size(), 3u);
    EXPECT_EQ(result.stages[2].name, "three");
    EXPECT_EQ(result.stages[2].result.images.at(0).path, "/out/three.png");
}

TEST_F(PipelineManagerTest, AStageThatFailsEndsTheRun) {
    run(stages({"one", "fails", "three"}));
    engine.finish_all();
    EXPECT_EQ(engine.seen.size(), 2u);
    ASSERT_TRUE(answer && !answer->ok());
    EXPECT_EQ(answer->error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(answer->error().message, "stage 2 ('fails'): no memory for it");
}

TEST_F(PipelineManagerTest, CancelBetweenStagesEndsTheRun) {
    const JobContext context;
    run(stages({"one", "two"}), context);
    engine.finish_next();
    context.token->cancel();
    engine.finish_all();
    ASSERT_TRUE(answer && !answer->ok());
    EXPECT_EQ(answer->error().code, ErrorCode::kCancelled);
}

TEST_F(PipelineManagerTest, TheRestGoesToTheWorkerWhoseBusinessItIs) {
    run(ModelLoadRequest{"m"});
    engine.finish_all();
    ASSERT_TRUE(answer && answer->ok());
    EXPECT_EQ(std::get<ModelInfo>(**answer).id, "m");
    answer.reset();
    run(ModelInfoRequest{});
    ASSERT_TRUE(answer && answer->ok());
    EXPECT_EQ(std::get<std::vector<ModelInfo>>(**answer).size(), 1u);
}

TEST(WorkerRegistryTest, WhatAWorkerDoesNotDoItSaysWithTheRemedy) {
    FakeEngine engine;
    WorkerRegistry registry(engine);
    for (const auto& name : {"sdxl_worker", "enhanced_sdxl_worker", "model_loader"}) {
        std::optional<WorkerResponse> answer;
        registry.get(name).process_request({BatchRequest{}, {}},
                                           [&](WorkerResponse response) { answer = std::move(response); });
        ASSERT_TRUE(answer && !answer->ok()) << name;
        EXPECT_EQ(answer->error().code, ErrorCode::kUnsupported);
        EXPECT_NE(answer->error().message.find("pipeline_manager"), std::string::npos);
    }
    EXPECT_EQ(&registry.get("sdxl_worker"), &registry.get("sdxl_worker"));
    EXPECT_THROW(registry.get("nobody"), Failure);
}

}  // namespace
}  // namespace sdxl
