// Control pictures of hand-made pictures, whose answers are known.
#include "image/preprocess/preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/error.h"

namespace {

using namespace sdxl;

constexpr int kKinds = static_cast<int>(Preprocessor::kSegmentation) + 1;

Image drawn(int width, int height, const std::function<int(int x, int y)>& grey) {
    Image image{width, height, 3, {}};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            image.pixels.insert(image.pixels.end(), 3, static_cast<std::uint8_t>(grey(x, y)));
    return image;
}

Image noise(int width, int height) {
    Image image{width, height, 3, {}};
    std::uint32_t state = 1;
    for (int i = 0; i < width * height * 3; ++i) {
        state = state * 1664525U + 1013904223U;
        image.pixels.push_back(static_cast<std::uint8_t>(state >> 24));
    }
    return image;
}

Image white_square(int size, int begin, int end) {
    return drawn(size, size,
                 [=](int x, int y) { return x >= begin && x < end && y >= begin && y < end ? 255 : 0; });
}

int at(const Image& image, int x, int y, int channel = 0) {
    return image.pixels[static_cast<std::size_t>((y * image.width + x) * 3 + channel)];
}

bool is_grey(const Image& image) {
    for (std::size_t i = 0; i < image.pixels.size(); i += 3)
        if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2]) return false;
    return true;
}

TEST(Preprocess, EverySizeKeepsItsSize) {
    for (const auto& [width, height] : {std::pair{1, 1}, {1, 2}, {2, 1}, {1, 37}, {41, 1}, {3, 5}, {33, 17}})
        for (int kind = 0; kind < kKinds; ++kind)
            for (const int resolution : {0, 64, 100}) {
                PreprocessOptions options;
                options.resolution = resolution;
                const Image image = noise(width, height);
                const Image made = preprocess(image, static_cast<Preprocessor>(kind), options);
                EXPECT_EQ(made.width, width);
                EXPECT_EQ(made.height, height);
                EXPECT_EQ(made.pixels.size(), image.pixels.size()) << kind;
                EXPECT_EQ(preprocess(image, static_cast<Preprocessor>(kind), options).pixels, made.pixels);
            }
}

TEST(Preprocess, ALongStripStaysWithinTheLargestSize) {
    PreprocessOptions options;
    options.resolution = 2048;
    EXPECT_EQ(preprocess(noise(2, 8192), Preprocessor::kCanny, options).height, 8192);
}

TEST(Preprocess, OneColourHasNoEdgesAndKeepsItsColour) {
    const Image image = drawn(30, 20, [](int, int) { return 90; });
    for (const auto kind :
         {Preprocessor::kCanny, Preprocessor::kSoftEdge, Preprocessor::kScribble, Preprocessor::kLineart}) {
        const Image made = preprocess(image, kind);
        EXPECT_EQ(*std::max_element(made.pixels.begin(), made.pixels.end()), 0) << static_cast<int>(kind);
    }
    for (const auto kind : {Preprocessor::kTile, Preprocessor::kBlur, Preprocessor::kGrey,
                            Preprocessor::kNone, Preprocessor::kSegmentation})
        EXPECT_EQ(preprocess(image, kind).pixels, image.pixels) << static_cast<int>(kind);
}

TEST(Preprocess, CannyDrawsASquaresBorder) {
    const Image made = preprocess(white_square(40, 10, 30), Preprocessor::kCanny);
    EXPECT_TRUE(is_grey(made));
    int white = 0;
    for (int y = 0; y < 40; ++y)
        for (int x = 0; x < 40; ++x) {
            const int value = at(made, x, y);
            EXPECT_TRUE(value == 0 || value == 255);
            if (value == 0) continue;
            ++white;
            const auto near = [](int v) { return std::abs(v - 10) <= 1 || std::abs(v - 29) <= 1; };
            const auto within = [](int v) { return v >= 9 && v <= 30; };
            EXPECT_TRUE(within(x) && within(y) && (near(x) || near(y))) << x << ' ' << y;
        }
    // Thin: about the square's circumference.
    EXPECT_GE(white, 72);
    EXPECT_LE(white, 88);
}

TEST(Preprocess, CannysThresholdsDecide) {
    // A step of 20: its gradient is 4 * 20 = 80 in OpenCV's measure.
    const Image step = drawn(32, 32, [](int x, int) { return x < 16 ? 100 : 120; });
    const auto whites = [](const Image& image, double low, double high) {
        PreprocessOptions options;
        options.low_threshold = low;
        options.high_threshold = high;
        const Image made = preprocess(image, Preprocessor::kCanny, options);
        return std::count(made.pixels.begin(), made.pixels.end(), 255) / 3;
    };
    EXPECT_EQ(whites(step, 100, 200), 0);
    EXPECT_EQ(whites(step, 40, 79), 32);
    EXPECT_EQ(whites(step, 40, 81), 0);
    // A weak edge that goes on from a strong one is kept from the low threshold on.
    const Image fading = drawn(32, 32, [](int x, int y) { return x < 16 ? 100 : (y < 16 ? 160 : 130); });
    EXPECT_GE(whites(fading, 100, 200), 30);
    EXPECT_LE(whites(fading, 150, 200), 24);
}

TEST(Preprocess, SoftEdgesAreTheStepsContrast) {
    // At a step of height h between two pixels every scale measures h less what half a pixel costs.
    for (const int height : {20, 40, 60}) {
        const Image made = preprocess(drawn(64, 16, [=](int x, int) { return x < 32 ? 50 : 50 + height; }),
                                      Preprocessor::kSoftEdge);
        EXPECT_NEAR(at(made, 31, 8), 2 * height, 0.15 * 2 * height) << height;
        EXPECT_EQ(at(made, 31, 8), at(made, 32, 8));
        EXPECT_GT(at(made, 31, 8), at(made, 28, 8));
        EXPECT_EQ(at(made, 5, 8), 0);
        EXPECT_TRUE(is_grey(made));
    }
    // The same in both directions.
    const Image square = preprocess(white_square(48, 12, 36), Preprocessor::kSoftEdge);
    for (int y = 0; y < 48; ++y)
        for (int x = 0; x < 48; ++x) EXPECT_EQ(at(square, x, y), at(square, y, x));
}

TEST(Preprocess, ScribbleAndLineartFindDarkLines) {
    const Image lines = drawn(96, 64, [](int x, int) { return x == 30 || x == 31 ? 20 : 230; });
    for (const auto kind : {Preprocessor::kScribble, Preprocessor::kLineart}) {
        const Image made = preprocess(lines, kind);
        EXPECT_TRUE(is_grey(made));
        for (int y = 0; y < 64; ++y) {
            EXPECT_GT(at(made, 30, y), 120) << static_cast<int>(kind);
            EXPECT_EQ(at(made, 80, y), 0);
        }
        // A light line on dark paper is none.
        const Image light = preprocess(preprocess(lines, Preprocessor::kInvert), kind);
        EXPECT_EQ(at(light, 30, 32), 0) << static_cast<int>(kind);
    }
    PreprocessOptions options;
    options.line_threshold = 255;
    const Image faint = drawn(96, 64, [](int x, int) { return x == 30 ? 150 : 230; });
    EXPECT_EQ(at(preprocess(faint, Preprocessor::kScribble, options), 30, 32), 0);
    EXPECT_EQ(at(preprocess(faint, Preprocessor::kScribble), 30, 32), 255);
}

TEST(Preprocess, LineartIsInUnitsOfTheMedianLine) {
    // Every line of this ruled page is equally dark: the median itself, which is 127.
    const Image page = drawn(400, 100, [](int x, int) { return x % 40 == 20 ? 60 : 220; });
    const Image made = preprocess(page, Preprocessor::kLineart);
    EXPECT_NEAR(at(made, 180, 50), 127, 2);
    EXPECT_NEAR(at(made, 220, 50), 127, 2);
}

TEST(Preprocess, BinaryOnesStayBinaryAtAnotherSize) {
    PreprocessOptions options;
    options.resolution = 64;
    for (const auto kind : {Preprocessor::kCanny, Preprocessor::kScribble}) {
        const Image made = preprocess(white_square(200, 50, 150), kind, options);
        EXPECT_GT(std::count(made.pixels.begin(), made.pixels.end(), 255), 0);
        for (const auto value : made.pixels) EXPECT_TRUE(value == 0 || value == 255);
    }
}

TEST(Preprocess, TheSizeToWorkAtMatters) {
    PreprocessOptions options;
    options.resolution = 64;
    const Image image = noise(200, 160);
    EXPECT_NE(preprocess(image, Preprocessor::kCanny, options).pixels,
              preprocess(image, Preprocessor::kCanny).pixels);
    // What looks at single pixels loses nothing.
    EXPECT_EQ(preprocess(image, Preprocessor::kInvert, options).pixels,
              preprocess(image, Preprocessor::kInvert).pixels);
}

TEST(Preprocess, TileIsTheMeanOfItsBlocks) {
    // A checkerboard of single pixels is grey at half the size.
    const Image board = drawn(32, 32, [](int x, int y) { return (x + y) % 2 * 200; });
    for (const auto value : preprocess(board, Preprocessor::kTile).pixels) EXPECT_EQ(value, 100);
    PreprocessOptions options;
    options.tile_factor = 1;
    EXPECT_EQ(preprocess(board, Preprocessor::kTile, options).pixels, board.pixels);
    // Coarse shapes stay.
    options.tile_factor = 4;
    const Image square = preprocess(white_square(64, 16, 48), Preprocessor::kTile, options);
    EXPECT_EQ(at(square, 32, 32), 255);
    EXPECT_EQ(at(square, 4, 4), 0);
}

TEST(Preprocess, BlurIsAGaussian) {
    PreprocessOptions options;
    options.deviation = 0;
    const Image step = drawn(80, 20, [](int x, int) { return x < 40 ? 0 : 200; });
    EXPECT_EQ(preprocess(step, Preprocessor::kBlur, options).pixels, step.pixels);
    options.deviation = 5;
    const Image made = preprocess(step, Preprocessor::kBlur, options);
    for (int x = 0; x < 80; ++x) {
        // A step under a Gaussian is its error function.
        const double expected = 100 * (1 + std::erf((x - 39.5) / (5 * std::sqrt(2.0))));
        EXPECT_NEAR(at(made, x, 10), expected, 2.5) << x;
    }
}

TEST(Preprocess, GreyIsBrightness) {
    const Image colours{3, 1, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255}};
    const Image made = preprocess(colours, Preprocessor::kGrey);
    EXPECT_TRUE(is_grey(made));
    EXPECT_EQ(at(made, 0, 0), 76);
    EXPECT_EQ(at(made, 1, 0), 150);
    EXPECT_EQ(at(made, 2, 0), 29);
}

TEST(Preprocess, InvertTwiceIsThePicture) {
    const Image image = noise(13, 7);
    const Image once = preprocess(image, Preprocessor::kInvert);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) EXPECT_EQ(once.pixels[i], 255 - image.pixels[i]);
    EXPECT_EQ(preprocess(once, Preprocessor::kInvert).pixels, image.pixels);
}

TEST(Preprocess, APlaneHasOneNormal) {
    constexpr double kPi = 3.14159265358979323846;
    for (const auto& [across, down] : {std::pair{0, 0}, {1, 0}, {0, 1}, {2, 1}, {-1, 2}}) {
        const Image depth =
            drawn(41, 23, [&, a = across, d = down](int x, int y) { return 100 + a * x + d * y; });
        const double x = 8 * across, y = 8 * down, z = 2 * kPi;
        const double length = std::sqrt(x * x + y * y + z * z);
        const Image made = preprocess(depth, Preprocessor::kNormalFromDepth);
        for (int row = 0; row < 23; ++row)
            for (int column = 0; column < 41; ++column) {
                EXPECT_NEAR(at(made, column, row, 0), 127.5 + 127.5 * x / length, 0.51);
                EXPECT_NEAR(at(made, column, row, 1), 127.5 + 127.5 * y / length, 0.51);
                EXPECT_NEAR(at(made, column, row, 2), 127.5 + 127.5 * z / length, 0.51);
            }
    }
}

TEST(Preprocess, WhatIsFarIsFlat) {
    PreprocessOptions options;
    options.background = 0.5;
    const Image depth = drawn(101, 9, [](int x, int) { return 2 * x; });
    const Image made = preprocess(depth, Preprocessor::kNormalFromDepth, options);
    EXPECT_EQ(at(made, 20, 4, 0), 128);
    EXPECT_EQ(at(made, 20, 4, 2), 255);
    EXPECT_GT(at(made, 80, 4, 0), 200);
}

TEST(Preprocess, OptionsOutOfRangeAreNamed) {
    const auto refused = [](const std::function<void(PreprocessOptions&)>& change, const char* name) {
        PreprocessOptions options;
        change(options);
        try {
            preprocess(noise(4, 4), Preprocessor::kCanny, options);
            ADD_FAILURE() << name;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().code, ErrorCode::kInvalidRequest);
            EXPECT_NE(failure.error().message.find(name), std::string::npos) << failure.error().message;
        }
    };
    refused([](auto& o) { o.resolution = 63; }, "resolution");
    refused([](auto& o) { o.resolution = -1; }, "resolution");
    refused([](auto& o) { o.low_threshold = -1; }, "low_threshold");
    refused([](auto& o) { o.low_threshold = 201; }, "low_threshold");
    refused([](auto& o) { o.high_threshold = std::numeric_limits<double>::quiet_NaN(); }, "high_threshold");
    refused([](auto& o) { o.line_threshold = 0; }, "line_threshold");
    refused([](auto& o) { o.deviation = 1e9; }, "deviation");
    refused([](auto& o) { o.tile_factor = 0; }, "tile_factor");
    refused([](auto& o) { o.background = 1.5; }, "background must be 0 to 1, found 1.5");
}

}  // namespace
