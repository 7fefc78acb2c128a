// The reader on pictures of our own drawing: it must be right before it may judge others.
#include "scene_reader.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sdxl {
namespace {

constexpr int kSide = 128;

Image plain(const std::string& colour) {
    Image image{kSide, kSide, 3, {}};
    for (int i = 0; i < kSide * kSide; ++i)
        for (const double value : colour_named(colour))
            image.pixels.push_back(static_cast<std::uint8_t>(value));
    return image;
}

// With a slant of the box's sides, so that nothing fits exactly.
void draw(Image& image, const std::string& shape, const std::string& colour, double x, double y,
          double radius) {
    const double high = shape == "star" ? 0.95 : shape == "triangle" ? 0.89 : 1;
    for (int row = 0; row < kSide; ++row)
        for (int column = 0; column < kSide; ++column) {
            const double across = (column + 0.5 - x) / radius, down = (row + 0.5 - y) / (radius * high);
            if (std::abs(across) > 1 || std::abs(down) > 1 || !inside_shape(shape, across, down)) continue;
            for (std::size_t channel = 0; channel < 3; ++channel)
                image.pixels[static_cast<std::size_t>(row * kSide + column) * 3 + channel] =
                    static_cast<std::uint8_t>(colour_named(colour)[channel]);
        }
}

TEST(SceneReader, ReadsShapesColoursAndPlaces) {
    const std::vector<std::string> colours{"red", "green", "blue", "yellow", "orange", "purple"};
    for (std::size_t i = 0; i < shape_names().size(); ++i) {
        for (const double radius : {15.3, 22.0, 33.7}) {
            Image image = plain(i % 2 == 0 ? "white" : "black");
            draw(image, shape_names()[i], colours[i], 40.4, 80.7, radius);
            const SeenScene scene = read_scene(image);
            ASSERT_EQ(scene.words(),
                      "a " + colours[i] + " " + shape_names()[i] + ", on " + (i % 2 == 0 ? "white" : "black"))
                << radius;
            EXPECT_NEAR(scene.things[0].x, 40.4 / kSide, 0.01);
            EXPECT_NEAR(scene.things[0].y, 80.7 / kSide, 0.01);
            EXPECT_GT(scene.things[0].overlap, 0.9);
        }
    }
}

TEST(SceneReader, ReadsSeveralThingsAndPassesSpecksOver) {
    Image image = plain("gray");
    draw(image, "circle", "red", 34, 64, 24);
    draw(image, "star", "yellow", 95, 64, 22);
    draw(image, "square", "black", 64, 20, 4);  // 64 pixels
    EXPECT_EQ(read_scene(image).words(), "a red circle, a yellow star, on gray");
    EXPECT_EQ(read_scene(plain("pink")).words(), "on pink");
}

}  // namespace
}  // namespace sdxl
