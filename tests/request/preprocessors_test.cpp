#include "request/preprocessors.h"

#include <gtest/gtest.h>

namespace {

using namespace sdxl;

TEST(Preprocessors, EverySpellingThatUsersKnow) {
    struct Row {
        Preprocessor kind;
        std::vector<const char*> names;
    };
    const Row rows[] = {
        {Preprocessor::kNone, {"none", "None", ""}},
        {Preprocessor::kCanny, {"canny", "Canny Edge"}},
        {Preprocessor::kSoftEdge, {"softedge", "soft_edge", "hed", "softedge_hed", "softedge_pidinet"}},
        {Preprocessor::kScribble, {"scribble", "scribble_xdog", "scribble_hed"}},
        {Preprocessor::kLineart, {"lineart", "line art", "lineart_standard"}},
        {Preprocessor::kTile, {"tile", "tile_resample"}},
        {Preprocessor::kBlur, {"blur", "blur_gaussian"}},
        {Preprocessor::kGrey, {"grey", "gray", "Grayscale", "recolor", "recolor_luminance"}},
        {Preprocessor::kInvert, {"invert"}},
        {Preprocessor::kNormalFromDepth, {"normal_from_depth", "normal", "normal_map"}},
        {Preprocessor::kSegmentation, {"seg", "segmentation"}},
    };
    for (const Row& row : rows)
        for (const char* name : row.names) EXPECT_EQ(parse_preprocessor(name), row.kind) << name;
}

TEST(Preprocessors, EachIsFoundByTheNameItIsCalled) {
    const auto names = preprocessor_names();
    ASSERT_EQ(names.size(), 11U);
    for (const auto& name : names) {
        const auto kind = parse_preprocessor(name);
        ASSERT_TRUE(kind) << name;
        EXPECT_EQ(preprocessor_name(*kind), name);
        EXPECT_FALSE(preprocessor_info(*kind).takes.empty()) << name;
    }
}

TEST(Preprocessors, StandInsSayWhatTheyAre) {
    for (const auto kind : {Preprocessor::kSoftEdge, Preprocessor::kScribble, Preprocessor::kLineart})
        EXPECT_NE(preprocessor_info(kind).note.find("classical"), std::string_view::npos);
    EXPECT_TRUE(preprocessor_info(Preprocessor::kCanny).note.empty());
}

TEST(Preprocessors, NetworksAreRefusedWithWhatToSendInstead) {
    for (const char* name : {"depth", "depth_midas", "depth_anything_v2", "zoe", "openpose", "openpose_full",
                             "dwpose", "DW Pose", "pose", "mlsd", "normal_bae", "normalbae", "seg_ofade20k",
                             "lineart_anime", "mediapipe_face"}) {
        EXPECT_FALSE(parse_preprocessor(name)) << name;
        const auto found = find_preprocessor(name);
        ASSERT_FALSE(found.ok()) << name;
        EXPECT_EQ(found.error().code, ErrorCode::kUnsupported);
        for (const char* text : {name, "needs a network", "send the prepared control picture", "'none'"})
            EXPECT_NE(found.error().message.find(text), std::string::npos) << found.error().message;
    }
}

TEST(Preprocessors, UnknownNamesAreAnsweredWithTheKnownOnes) {
    const auto found = find_preprocessor("cannny");
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, ErrorCode::kInvalidRequest);
    EXPECT_NE(found.error().message.find("'canny'"), std::string::npos) << found.error().message;
    EXPECT_EQ(*find_preprocessor("Canny"), Preprocessor::kCanny);
}

}  // namespace
