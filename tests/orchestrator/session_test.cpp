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
    Session session{engine, "pipeline_manager", [this](const std::string& line) { lines.push_back(line); }};
};

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
    for (int i = 0; i < Session::kMostUnanswered; ++i) picture("p", {{"request_id", std::to_string(i)}});
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
    EXPECT_EQ(lines.size(), static_cast<std::size_t>(Session::kMostUnanswered) + 4u);
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
    Session loader(engine, "model_loader", [&](const std::string& line) { answers.push_back(line); });
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

}  // namespace
}  // namespace sdxl
