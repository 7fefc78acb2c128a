// Who runs next, who is ended before that, and that each is answered once.
#include "engine/job_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

namespace {

using namespace sdxl;

constexpr std::chrono::duration<double> kNever{1e6};

struct Log {
    std::mutex mutex;
    std::vector<std::string> lines;
    std::condition_variable changed;

    void add(std::string line) {
        const std::lock_guard lock(mutex);
        lines.push_back(std::move(line));
        changed.notify_all();
    }
    void wait_for(std::size_t count) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return lines.size() >= count; });
    }
};

// Takes `units` units, and writes down each and its end.
class FakeTask final : public Task {
  public:
    FakeTask(std::string name, int units, Log& log) : name_(std::move(name)), units_(units), log_(log) {}

    bool advance() override {
        log_.add(name_);
        return --units_ == 0;
    }
    void end(const Error& error) override {
        log_.add(name_ + " " + std::string(error_code_name(error.code)));
    }
    JobStatus describe() const override {
        JobStatus status;
        status.id = name_;
        return status;
    }

  private:
    std::string name_;
    int units_;
    Log& log_;
};

class JobQueueTest : public testing::Test {
  protected:
    ~JobQueueTest() override { queue.close(); }

    std::shared_ptr<CancelToken> push(const std::string& name, Priority priority, int units = 1,
                                      std::shared_ptr<CancelToken> token = std::make_shared<CancelToken>()) {
        queue.push(std::make_unique<FakeTask>(name, units, log), priority, token);
        return token;
    }
    // What the loop of an engine does, for one unit. False if nothing is left.
    bool run_unit() {
        if (!job && queue.describe().empty()) return false;
        if (!job) job = queue.take();
        if (job->task().advance()) {
            queue.forget(job);
            job = nullptr;
        } else if (!queue.keep(job)) {
            job = nullptr;
        }
        return true;
    }
    std::vector<std::string> run() {
        while (run_unit()) {
        }
        return log.lines;
    }

    using Names = std::vector<std::string>;
    Log log;
    JobQueue queue{kNever};
    std::shared_ptr<JobQueue::Job> job;
};

TEST_F(JobQueueTest, FirstComeFirstServed) {
    for (const char* name : {"a", "b", "c"}) push(name, Priority::kNormal, 2);
    EXPECT_EQ(run(), (Names{"a", "a", "b", "b", "c", "c"}));
    EXPECT_EQ(queue.preemptions(), 0u);
}

TEST_F(JobQueueTest, TheHigherPriorityFirst) {
    push("low", Priority::kLow);
    push("normal", Priority::kNormal);
    push("critical", Priority::kCritical);
    push("high", Priority::kHigh);
    push("normal2", Priority::kNormal);
    EXPECT_EQ(run(), (Names{"critical", "high", "normal", "normal2", "low"}));
}

TEST_F(JobQueueTest, AHigherPriorityTakesOverBetweenUnitsAndTheFirstGoesOnBeforeItsEquals) {
    push("normal", Priority::kNormal, 3);
    run_unit();
    push("later", Priority::kNormal);
    push("high", Priority::kHigh, 2);
    EXPECT_EQ(queue.describe().at(0).id, "normal");
    EXPECT_EQ(queue.describe().at(0).state, JobStatus::State::kRunning);
    run_unit();  // the unit that had begun
    EXPECT_EQ(queue.describe().at(0).id, "high");
    EXPECT_EQ(queue.describe().at(1).state, JobStatus::State::kPaused);
    EXPECT_EQ(run(), (Names{"normal", "normal", "high", "high", "normal", "later"}));
    EXPECT_EQ(queue.preemptions(), 1u);
}

TEST_F(JobQueueTest, AnEqualDoesNotTakeOver) {
    push("first", Priority::kHigh, 2);
    run_unit();
    push("second", Priority::kHigh);
    EXPECT_EQ(run(), (Names{"first", "first", "second"}));
}

TEST(JobQueueAging, WhoWaitsLongEnoughIsNotPassedOver) {
    Log log;
    JobQueue queue{std::chrono::milliseconds(5)};
    queue.push(std::make_unique<FakeTask>("low", 1, log), Priority::kLow, std::make_shared<CancelToken>());
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    queue.push(std::make_unique<FakeTask>("critical", 1, log), Priority::kCritical,
               std::make_shared<CancelToken>());
    // Both are critical now, and the low one was first.
    EXPECT_EQ(queue.describe().at(0).id, "low");
    EXPECT_EQ(queue.describe().at(0).priority, Priority::kLow);  // what was asked for is what is shown
    queue.close();
}

TEST_F(JobQueueTest, ACancelledJobIsEndedWhileAnotherRuns) {
    push("runs", Priority::kNormal, 2);
    run_unit();
    const auto token = push("waits", Priority::kNormal);
    token->cancel();
    log.wait_for(2);
    EXPECT_EQ(run(), (Names{"runs", "waits cancelled", "runs"}));
}

TEST_F(JobQueueTest, ADeadlineIsKeptWhileAnotherRuns) {
    push("runs", Priority::kNormal, 2);
    run_unit();
    push("late", Priority::kNormal, 1,
         std::make_shared<CancelToken>(CancelToken::Clock::now() + std::chrono::milliseconds(10)));
    push("gone", Priority::kNormal, 1, std::make_shared<CancelToken>(CancelToken::Clock::now()));
    log.wait_for(3);
    EXPECT_EQ(run(), (Names{"runs", "gone deadline_exceeded", "late deadline_exceeded", "runs"}));
}

TEST_F(JobQueueTest, APausedJobIsEndedToo) {
    const auto token = push("paused", Priority::kLow, 3);
    run_unit();
    push("high", Priority::kHigh, 2);
    run_unit();
    token->cancel();
    log.wait_for(3);
    EXPECT_EQ(run(), (Names{"paused", "paused", "paused cancelled", "high", "high"}));
}

TEST_F(JobQueueTest, CloseEndsWhatWaitsAndCancelsWhatRuns) {
    const auto running = push("runs", Priority::kNormal, 2);
    run_unit();
    push("waits", Priority::kNormal);
    queue.close();
    log.wait_for(2);
    EXPECT_EQ(log.lines.back(), "waits cancelled");
    EXPECT_TRUE(running->cancelled());
    push("late", Priority::kNormal);
    EXPECT_EQ(log.lines.back(), "late cancelled");
    job = nullptr;
    EXPECT_EQ(queue.take(), nullptr);
}

TEST(JobQueueThreads, EveryJobIsAnsweredOnce) {
    constexpr int kThreads = 4;
    constexpr int kEach = 250;
    class CountingTask final : public Task {
      public:
        explicit CountingTask(std::atomic<int>& ends) : ends_(ends) {}
        bool advance() override { return --units_ == 0 ? ++ends_ > 0 : false; }
        void end(const Error&) override { ++ends_; }
        JobStatus describe() const override { return {}; }

      private:
        std::atomic<int>& ends_;
        int units_ = 3;
    };
    std::atomic<int> ends{0};
    {
        JobQueue queue{std::chrono::milliseconds(1)};
        std::thread loop([&] {
            while (const auto job = queue.take())
                for (bool ours = true; ours;) {
                    if (job->task().advance()) {
                        queue.forget(job);
                        ours = false;
                    } else {
                        ours = queue.keep(job);
                    }
                }
        });
        std::vector<std::thread> hosts;
        for (int t = 0; t < kThreads; ++t)
            hosts.emplace_back([&queue, &ends, t] {
                for (int i = 0; i < kEach; ++i) {
                    auto token = i % 3 == 0 ? std::make_shared<CancelToken>(CancelToken::Clock::now() +
                                                                            std::chrono::microseconds(50))
                                            : std::make_shared<CancelToken>();
                    queue.push(std::make_unique<CountingTask>(ends), static_cast<Priority>((i + t) % 4),
                               token);
                    if (i % 5 == 0) token->cancel();
                    if (i % 50 == 0) queue.describe();
                }
            });
        for (auto& host : hosts) host.join();
        queue.close();
        loop.join();
    }
    EXPECT_EQ(ends, kThreads * kEach);
}

}  // namespace
