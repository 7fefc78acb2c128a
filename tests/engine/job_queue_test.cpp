#include "engine/job_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace {

using namespace sdxl;

TEST(JobQueue, FirstComeFirstServed) {
    JobQueue queue;
    std::vector<int> order;
    for (int i = 0; i < 3; ++i) queue.push({[&order, i] { order.push_back(i); }, [] {}, nullptr});
    EXPECT_EQ(queue.waiting(), 3);
    for (int i = 0; i < 3; ++i) queue.pop()->run();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(JobQueue, CloseWakesTheLoopAndHandsBackWhatWaits) {
    JobQueue queue;
    queue.push({[] {}, [] {}, nullptr});
    EXPECT_EQ(queue.close().size(), 1U);
    EXPECT_FALSE(queue.pop().has_value());
    bool abandoned = false;
    queue.push({[] {}, [&] { abandoned = true; }, nullptr});
    EXPECT_TRUE(abandoned);
}

TEST(JobQueue, PopWaitsForAJob) {
    JobQueue queue;
    std::thread later([&] { queue.push({[] {}, [] {}, nullptr}); });
    EXPECT_TRUE(queue.pop().has_value());
    later.join();
}

}  // namespace
