// Who is answered, when, and in which order.
#include "orchestrator/session.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "fake_engine.h"

namespace sdxl {
namespace {

using nlohmann::json;

class SessionTest : public testing::Test {
  protected:
    ~SessionTest() override { engine.finish_all(); }

    bool send(const json& message) { return session.receive(message.dump()); }
    bool picture(const std::string& prompt, const json& more = json::object()) {
        json message = {{"message_type", "inference_request"}, {"data", {{"prompt", prompt}, {"seed", 1}}}};
        message.update(more, true);
        return send(message);
    }
    json answer(std::size_t i) const { return json::parse(lines.at(i)); }
    std::string path(std::size_t i) const {
        return answer(i)["data"]["generated_images"].at(0)["image_path"];
    }
    std::string code(std::size_t i) const { return answer(i)["error_code"]; }

    FakeEngine engine;
    std::vector<std::string> lines;
    bool crowded = false;
    Session session{
        engine,
        SessionOptions{},
        {[this](std::string line) { lines.push_back(std::move(line)); }, [this] { return crowded; }}};
};

const int kLimit = SessionOptions{}.queue_limit;
const json kStatus = {{"message_type", "status_request"}};
const json kStatusWithId = {{"message_type", "status_request"}, {"request_id", "s"}};

TEST_F(SessionTest, AStatusWithAnIdIsAnsweredWhileAPictureIsMade) {
    picture("cat", {{"request_id", "p"}});
    EXPECT_TRUE(send(kStatusWithId));
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(answer(0)["request_id"], "s");
    engine.finish_all();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(answer(1)["request_id"], "p");
    EXPECT_EQ(path(1), "/out/cat.png");
}

TEST_F(SessionTest, AnswersWithoutAnIdKeepTheirOrder) {
    picture("one");
    send(kStatus);
    session.receive(std::string("this is no JSON"));
    picture("two");
    EXPECT_TRUE(lines.empty());
    send(kStatusWithId);  // overtakes them
    ASSERT_EQ(lines.size(), 1u);
    engine.finish_next();
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(path(1), "/out/one.png");
    EXPECT_EQ(answer(2)["success"], true);
    EXPECT_EQ(code(3), "invalid_request");
    engine.finish_next();
    EXPECT_EQ(path(4), "/out/two.png");
}

TEST_F(SessionTest, ALineThatCouldNotBeReadIsAnsweredInItsTurn) {
    session.receive(Error{ErrorCode::kInvalidRequest, "the line is too long", ""});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(answer(0)["success"], false);
    EXPECT_EQ(answer(0)["error"], "the line is too long");
}

TEST_F(SessionTest, TheDeadlineCountsFromReceipt) {
    picture("late", {{"timeout", 0.01}});
    picture("early", {{"timeout", 100}});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    engine.finish_all();
    EXPECT_EQ(code(0), "deadline_exceeded");
    EXPECT_EQ(path(1), "/out/early.png");
}

TEST_F(SessionTest, CancelAllCancelsWhatWaitsAndEachIsAnswered) {
    for (int i = 0; i < 5; ++i) picture(std::to_string(i));
    session.cancel_all();
    EXPECT_TRUE(lines.empty());
    engine.finish_all();
    ASSERT_EQ(lines.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(code(i), "cancelled");
}

TEST_F(SessionTest, TheErrorOfALoadIsItsAnswer) {
    send(
        {{"message_type", "model_load_request"}, {"request_id", "m"}, {"data", {{"model_path", "missing"}}}});
    engine.finish_all();
    EXPECT_EQ(code(0), "not_found");
    EXPECT_EQ(answer(0)["error_pointer"], "/data/model_path");
}

TEST_F(SessionTest, AFullQueueRefusesPicturesButAnswersTheRest) {
    for (int i = 0; i < kLimit; ++i) picture("p", {{"request_id", std::to_string(i)}});
    EXPECT_TRUE(lines.empty());
    EXPECT_TRUE(picture("too many", {{"request_id", "more"}}));
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(code(0), "queue_full");
    EXPECT_EQ(answer(0)["request_id"], "more");
    send(kStatusWithId);
    EXPECT_EQ(answer(1)["success"], true);
    EXPECT_FALSE(send({{"action", "stop"}, {"session_id", "x"}}));
    ASSERT_EQ(lines.size(), 3u);
    engine.finish_next();  // makes room for one
    picture("fits", {{"request_id", "again"}});
    EXPECT_EQ(lines.size(), 4u);
    engine.finish_all();
    EXPECT_EQ(lines.size(), static_cast<std::size_t>(kLimit) + 4u);
}

TEST_F(SessionTest, StopIsAnsweredBehindWhatWasAccepted) {
    picture("first");
    EXPECT_FALSE(send({{"action", "stop"}}));
    EXPECT_TRUE(lines.empty());
    engine.finish_all();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(path(0), "/out/first.png");
    EXPECT_EQ(answer(1)["success"], true);
}

TEST_F(SessionTest, AMessageGoesToTheWorkerItNames) {
    engine.finish_at_once();
    for (const char* worker : {"pipeline_manager", "sdxl_worker", "enhanced_sdxl_worker"}) {
        picture("cat", {{"data", {{"worker_type", worker}}}});
        EXPECT_EQ(answer(lines.size() - 1)["success"], true) << lines.back();
    }
    picture("cat", {{"data", {{"worker_type", "model_loader"}}}});
    EXPECT_EQ(code(3), "unsupported");
    EXPECT_EQ(engine.seen.size(), 3u);
    picture("cat", {{"data", {{"worker_type", "nobody"}}}});
    EXPECT_EQ(code(4), "invalid_request");
    EXPECT_NE(lines.back().find("pipeline_manager"), std::string::npos) << lines.back();
}

TEST_F(SessionTest, TheDefaultWorkerTakesMessagesThatNameNone) {
    std::vector<std::string> answers;
    SessionOptions options;
    options.default_worker = "model_loader";
    Session loader(engine, options, {[&](std::string line) { answers.push_back(std::move(line)); }});
    loader.receive(std::string(R"({"message_type":"inference_request","data":{"prompt":"cat"}})"));
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(json::parse(answers[0])["error_code"], "unsupported");
}

TEST_F(SessionTest, DrainWaitsForAnswersFromTheEnginesThread) {
    for (int i = 0; i < 50; ++i) picture(std::to_string(i));
    EXPECT_FALSE(session.drain_for(std::chrono::milliseconds(1)));
    std::thread loop([this] { engine.finish_all(); });
    session.drain();
    EXPECT_EQ(lines.size(), 50u);
    loop.join();
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(path(i), "/out/" + std::to_string(i) + ".png");
}

json cancel(const json& data) {
    return {{"message_type", "cancel_request"}, {"request_id", "c"}, {"data", data}};
}

TEST_F(SessionTest, CancelEndsTheRequestsWithThatIdAndNoOther) {
    picture("one", {{"request_id", "a"}});
    picture("two", {{"request_id", "b"}});
    picture("three", {{"request_id", "a"}});
    send(cancel({{"request_id", "a"}}));
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(answer(0)["request_id"], "c");
    EXPECT_EQ(answer(0)["data"]["cancelled"], (json{"a", "a"}));
    engine.finish_all();
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(code(1), "cancelled");
    EXPECT_EQ(path(2), "/out/two.png");
    EXPECT_EQ(code(3), "cancelled");
}

TEST_F(SessionTest, CancelOfWhatIsNotThereSaysSoAndWhere) {
    picture("one", {{"request_id", "a"}});
    engine.finish_all();
    send(cancel({{"request_id", "a"}}));
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(code(1), "not_found");
    EXPECT_EQ(answer(1)["error_pointer"], "/data/request_id");
}

TEST_F(SessionTest, CancelOfAllSparesNobody) {
    picture("one");
    picture("two", {{"request_id", "b"}});
    send(cancel({{"all", true}}));
    engine.finish_all();
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(code(1), "cancelled");
    EXPECT_EQ(code(2), "cancelled");
    send(cancel({{"all", true}}));
    EXPECT_EQ(answer(3)["success"], true);  // there is nothing left: no error
}

TEST_F(SessionTest, ProgressGoesToThoseWhoAsked) {
    picture("quiet", {{"request_id", "q"}});
    picture("loud", {{"request_id", "l"}, {"data", {{"progress", true}}}});
    engine.finish_all();
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(answer(0)["request_id"], "q");
    EXPECT_FALSE(answer(1).contains("success"));
    EXPECT_EQ(answer(1)["request_id"], "l");
    EXPECT_EQ(answer(1)["data"]["percent"], 50);
    EXPECT_EQ(answer(2)["request_id"], "l");
    EXPECT_EQ(answer(2)["success"], true);
}

TEST_F(SessionTest, ProgressIsLeftOutForAHostThatDoesNotRead) {
    crowded = true;
    picture("loud", {{"request_id", "l"}, {"data", {{"progress", true}}}});
    engine.finish_all();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(answer(0)["success"], true);
}

TEST_F(SessionTest, ProgressWithoutAnIdWaitsForItsTurn) {
    picture("slow", {{"data", {{"progress", true}}}});
    picture("fast", {{"data", {{"progress", true}}}});
    const JobContext fast = engine.contexts.at(1);
    fast.progress({});
    EXPECT_TRUE(lines.empty());  // a host would take it for the progress of the first
    engine.contexts.at(0).progress({});
    EXPECT_EQ(lines.size(), 1u);
    engine.finish_all();
    fast.progress({});  // too late: the answer is out
    // of the first twice, its answer, of the second once, its answer
    ASSERT_EQ(lines.size(), 5u);
    EXPECT_EQ(answer(2)["success"], true);
    EXPECT_EQ(answer(4)["success"], true);
}

TEST_F(SessionTest, PrioritiesReachTheEngine) {
    picture("first", {{"data", {{"priority", "critical"}}}});
    picture("second", {{"data", {{"priority", "low"}}}});
    EXPECT_EQ(engine.contexts.at(0).priority, Priority::kCritical);
    EXPECT_EQ(engine.contexts.at(1).priority, Priority::kLow);
    engine.finish_all();
}

TEST_F(SessionTest, ABatchIsOneAnswerAndAFailureSinksNoOther) {
    send({{"message_type", "inference_request"},
          {"request_id", "b"},
          {"data",
           {{"type", "batch"},
            {"requests", {{{"prompt", "one"}}, {{"prompt", "fails"}}, {{"prompt", "bad"}, {"steps", 0}}}}}}});
    engine.finish_all();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(answer(0)["success"], true) << lines[0];
    const json results = answer(0)["data"]["results"];
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[0]["data"]["generated_images"][0]["image_path"], "/out/one.png");
    EXPECT_EQ(results[1]["error_code"], "out_of_memory");
    EXPECT_EQ(results[2]["error_code"], "invalid_request");
    EXPECT_EQ(results[2]["error_pointer"], "/data/requests/2/steps");
    EXPECT_EQ(engine.seen.size(), 2u);
}

TEST_F(SessionTest, StagesFeedEachOther) {
    send({{"message_type", "inference_request"},
          {"request_id", "s"},
          {"data",
           {{"type", "multi_stage"},
            {"prompt", "base"},
            {"stages", {{{"steps", 4}}, {{"prompt", "fine"}}}}}}});
    ASSERT_EQ(engine.seen.size(), 1u);
    engine.finish_next();
    ASSERT_EQ(engine.seen.size(), 2u);
    EXPECT_EQ(engine.seen[0].init_pixels.get(), nullptr);
    EXPECT_NE(engine.seen[1].init_pixels.get(), nullptr);
    engine.finish_all();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(path(0), "/out/fine.png");
}

TEST_F(SessionTest, AStageThatFailsIsNamed) {
    send({{"message_type", "inference_request"},
          {"data",
           {{"type", "multi_stage"},
            {"prompt", "base"},
            {"stages", {{{"steps", 4}}, {{"name", "detail"}, {"prompt", "fails"}}}}}}});
    engine.finish_all();
    EXPECT_EQ(code(0), "out_of_memory");
    EXPECT_NE(lines[0].find("stage 2 ('detail')"), std::string::npos) << lines[0];
}

TEST_F(SessionTest, ValidationAsksTheEngineToo) {
    send({{"action", "validate_request"}, {"request", {{"prompt", "cat"}, {"model_name", "missing"}}}});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(answer(0)["success"], true);
    EXPECT_EQ(answer(0)["data"]["valid"], false);
    EXPECT_NE(lines[0].find("no model is called missing"), std::string::npos) << lines[0];
    EXPECT_TRUE(engine.seen.empty());
}

TEST_F(SessionTest, ModelsCanBeUnloadedListedAndCleanedUp) {
    engine.finish_at_once();
    send({{"action", "unload_model"}, {"model_id", "m"}});
    send({{"action", "get_model_info"}});
    send({{"action", "cleanup_memory"}});
    send({{"action", "get_model_info"}, {"model_id", "missing"}});
    ASSERT_EQ(lines.size(), 4u);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(answer(i)["success"], true) << lines[i];
    EXPECT_EQ(code(3), "not_found");
}

TEST_F(SessionTest, CountersTellWhatBecameOfRequests) {
    picture("one", {{"request_id", "1"}});
    picture("fails", {{"request_id", "2"}});
    picture("three", {{"request_id", "3"}});
    send(cancel({{"request_id", "3"}}));
    picture("late", {{"request_id", "4"}, {"timeout", 0.001}});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    engine.finish_all();
    lines.clear();
    send(kStatusWithId);
    const json requests = answer(0)["data"]["counters"]["requests"];
    EXPECT_EQ(requests["received"], 6);
    EXPECT_EQ(requests["succeeded"], 2);  // the picture and the cancelling
    EXPECT_EQ(requests["failed"], 1);
    EXPECT_EQ(requests["cancelled"], 1);
    EXPECT_EQ(requests["timed_out"], 1);
}

TEST_F(SessionTest, WhatComesAfterTheSignalIsCancelledAtOnce) {
    session.cancel_all();
    picture("late", {{"request_id", "l"}});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(code(0), "cancelled");
    EXPECT_TRUE(engine.seen.empty());
    send(kStatusWithId);
    EXPECT_EQ(answer(1)["success"], true);
}

TEST_F(SessionTest, AbandonAnswersForTheEngineAndOnlyOnce) {
    picture("one", {{"request_id", "1"}});
    picture("two");
    session.abandon();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(code(0), "cancelled");
    EXPECT_EQ(code(1), "cancelled");
    engine.finish_all();
    EXPECT_EQ(lines.size(), 2u);
}

TEST(SessionWithAFile, WaitsForRoomInsteadOfRefusing) {
    FakeEngine engine;
    std::vector<std::string> lines;
    SessionOptions options;
    options.queue_limit = 2;
    options.wait_when_full = true;
    Session session(engine, options, {[&](std::string line) { lines.push_back(std::move(line)); }});
    std::thread reader([&] {
        for (int i = 0; i < 20; ++i)
            session.receive(
                std::string(R"({"message_type":"inference_request","data":{"prompt":"cat","seed":1}})"));
    });
    for (int done = 0; done < 20;) done += engine.finish_next() ? 1 : 0;
    reader.join();
    ASSERT_EQ(lines.size(), 20u);
    for (const auto& line : lines) EXPECT_EQ(json::parse(line)["success"], true) << line;
}

}  // namespace
}  // namespace sdxl
