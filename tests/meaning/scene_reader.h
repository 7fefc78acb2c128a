// Says what a picture of the demo model's small world shows, from its pixels alone: no network, no knowledge
// of the prompt. Plain backgrounds of one colour, and objects that differ from it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "image/image.h"

namespace sdxl {

using Rgb = std::array<double, 3>;

struct SeenThing {
    std::string colour;  // the nearest of the world's colours
    std::string shape;   // "circle", "square", "triangle", "star", "cross", "ring"
    Rgb rgb{};
    double x = 0, y = 0;  // of its box's middle, 0 at the left and the top, 1 at the right and the bottom
    int area = 0;         // pixels
    double overlap = 0;   // intersection over union with that shape in its box
};

struct SeenScene {
    std::string background;
    Rgb ground{};
    std::vector<SeenThing> things;  // the largest first

    // "a red circle, a blue square on white"
    std::string words() const;
};

SeenScene read_scene(const Image& image);

// 1 for each pixel that differs from the background.
std::vector<bool> foreground_of(const Image& image);

// Whether a point of a shape's box, -1 to 1 from left to right and from top to bottom, belongs to the shape.
bool inside_shape(const std::string& shape, double x, double y);
const std::vector<std::string>& shape_names();

Rgb colour_named(const std::string& name);
// The largest difference of a channel, 0 to 255.
double colour_distance(const Rgb& left, const Rgb& right);

}  // namespace sdxl
