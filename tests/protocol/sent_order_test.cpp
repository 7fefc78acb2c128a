#include "protocol/sent_order.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sdxl {
namespace {

TEST(SentOrder, FollowsTheLine) {
    const auto places = sent_places(R"({"z":{"y":1,"x":[0,{"w":2}]},"a/b~c":3})",
                                    {"/z", "/z/y", "/z/x", "/z/x/1/w", "/a~1b~0c", "", "/gone"});
    EXPECT_LT(places[5].begin, places[0].begin);
    EXPECT_LT(places[0].begin, places[1].begin);
    EXPECT_LT(places[1].begin, places[2].begin);
    EXPECT_LT(places[2].begin, places[3].begin);
    EXPECT_LT(places[3].end, places[2].end);
    EXPECT_LT(places[2].end, places[0].end);
    EXPECT_LT(places[0].end, places[4].begin);
    EXPECT_LT(places[4].end, places[5].end);
    EXPECT_EQ(places[6].begin, SIZE_MAX);
}

TEST(SentOrder, BrokenLinesAreRead) {
    EXPECT_LT(sent_places(R"({"a":1,"b")", {"/a"})[0].begin, SIZE_MAX);
    EXPECT_EQ(sent_places("", {"/a"})[0].begin, SIZE_MAX);
}

}  // namespace
}  // namespace sdxl
