#include "scene_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numbers>

namespace sdxl {
namespace {

constexpr double kForeground = 55;  // a channel differs by that much from the background
constexpr int kSmallest = 90;       // pixels of an object
constexpr int kFrame = 4;           // pixels at the border that are looked at for the background

// Of tools/demo-model/scenes.py.
const std::map<std::string, Rgb>& palette() {
    static const std::map<std::string, Rgb> colours = {{"red", {214, 38, 38}},     {"green", {44, 160, 58}},
                                                       {"blue", {36, 74, 214}},    {"yellow", {250, 218, 50}},
                                                       {"orange", {246, 136, 26}}, {"purple", {140, 52, 184}},
                                                       {"white", {246, 246, 246}}, {"black", {20, 20, 22}},
                                                       {"pink", {248, 172, 196}},  {"gray", {140, 142, 146}}};
    return colours;
}

Rgb pixel(const Image& image, int index) {
    const auto at = static_cast<std::size_t>(index) * 3;
    return {static_cast<double>(image.pixels[at]), static_cast<double>(image.pixels[at + 1]),
            static_cast<double>(image.pixels[at + 2])};
}

// Of each channel.
Rgb median(const Image& image, const std::vector<int>& indices) {
    Rgb middle{};
    for (std::size_t channel = 0; channel < 3; ++channel) {
        std::vector<std::uint8_t> values;
        values.reserve(indices.size());
        for (const int index : indices)
            values.push_back(image.pixels[static_cast<std::size_t>(index) * 3 + channel]);
        const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
        std::nth_element(values.begin(), half, values.end());
        middle[channel] = *half;
    }
    return middle;
}

std::string nearest_colour(const Rgb& rgb) {
    const auto square = [&](const Rgb& other) {
        double sum = 0;
        for (std::size_t channel = 0; channel < 3; ++channel)
            sum += std::pow(rgb[channel] - other[channel], 2);
        return sum;
    };
    return std::min_element(palette().begin(), palette().end(),
                            [&](const auto& left, const auto& right) {
                                return square(left.second) < square(right.second);
                            })
        ->first;
}

Rgb ground_of(const Image& image) {
    std::vector<int> frame;
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x)
            if (std::min({x, y, image.width - 1 - x, image.height - 1 - y}) < kFrame)
                frame.push_back(y * image.width + x);
    return median(image, frame);
}

// Takes a connected part out of the mask, by flooding.
std::vector<int> take_part(std::vector<bool>& mask, int width, int begin) {
    std::vector<int> part{begin};
    mask[static_cast<std::size_t>(begin)] = false;
    const int count = static_cast<int>(mask.size());
    for (std::size_t done = 0; done < part.size(); ++done) {
        const int at = part[done];
        const auto visit = [&](bool there, int next) {
            if (!there || next < 0 || next >= count || !mask[static_cast<std::size_t>(next)]) return;
            mask[static_cast<std::size_t>(next)] = false;
            part.push_back(next);
        };
        visit(true, at - width);
        visit(true, at + width);
        visit(at % width > 0, at - 1);
        visit(at % width < width - 1, at + 1);
    }
    return part;
}

struct Box {
    int left, top, right, bottom;  // right and bottom excluded
};

// The shape whose own look in the box overlaps the part best.
void find_shape(const std::vector<int>& part, int width, const Box& box, SeenThing& thing) {
    const int columns = box.right - box.left, rows = box.bottom - box.top;
    std::vector<bool> there(static_cast<std::size_t>(columns * rows), false);
    for (const int index : part)
        there[static_cast<std::size_t>((index / width - box.top) * columns + index % width - box.left)] =
            true;
    for (const std::string& shape : shape_names()) {
        int both = 0, either = 0;
        for (int y = 0; y < rows; ++y)
            for (int x = 0; x < columns; ++x) {
                const bool drawn = inside_shape(shape, (x + 0.5) * 2 / columns - 1, (y + 0.5) * 2 / rows - 1);
                const bool seen = there[static_cast<std::size_t>(y * columns + x)];
                both += drawn && seen ? 1 : 0;
                either += drawn || seen ? 1 : 0;
            }
        const double overlap = static_cast<double>(both) / either;
        if (overlap <= thing.overlap) continue;
        thing.overlap = overlap;
        thing.shape = shape;
    }
}

SeenThing look_at(const Image& image, const std::vector<int>& part) {
    Box box{image.width, image.height, 0, 0};
    for (const int index : part) {
        const int x = index % image.width, y = index / image.width;
        box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1),
               std::max(box.bottom, y + 1)};
    }
    SeenThing thing;
    thing.rgb = median(image, part);
    thing.colour = nearest_colour(thing.rgb);
    thing.x = (box.left + box.right) / 2.0 / image.width;
    thing.y = (box.top + box.bottom) / 2.0 / image.height;
    thing.area = static_cast<int>(part.size());
    find_shape(part, image.width, box, thing);
    return thing;
}

// Five points: the angle within a tenth of the circle gives the edge from an outer to an inner corner.
bool inside_star(double x, double y) {
    constexpr double kOuter = 1.08, kInner = 0.44, kTenth = std::numbers::pi / 5;
    // The box, in units of the radius: the lower points stand higher than the circle's bottom.
    x *= kOuter * std::sin(2 * kTenth);
    y = (y + 1) / 2 * kOuter * (1 + std::cos(kTenth)) - kOuter;
    double angle = std::fmod(std::abs(std::atan2(x, -y)), 2 * kTenth);  // from the tip upwards
    if (angle > kTenth) angle = 2 * kTenth - angle;
    // In polar coordinates the edge through (kOuter, 0) and (kInner, kTenth).
    const double edge =
        kOuter * kInner * std::sin(kTenth) / (kOuter * std::sin(angle) + kInner * std::sin(kTenth - angle));
    return std::hypot(x, y) <= edge;
}

}  // namespace

const std::vector<std::string>& shape_names() {
    static const std::vector<std::string> names{"circle", "square", "triangle", "star", "cross", "ring"};
    return names;
}

bool inside_shape(const std::string& shape, double x, double y) {
    if (shape == "square") return true;
    if (shape == "circle") return std::hypot(x, y) <= 1;
    if (shape == "ring") return std::hypot(x, y) <= 1 && std::hypot(x, y) >= 0.44;
    if (shape == "triangle") return std::abs(x) <= (y + 1) / 2;
    if (shape == "cross") return std::min(std::abs(x), std::abs(y)) <= 0.32 / 0.98;
    return inside_star(x, y);
}

Rgb colour_named(const std::string& name) {
    return palette().at(name);
}

double colour_distance(const Rgb& left, const Rgb& right) {
    double most = 0;
    for (std::size_t channel = 0; channel < 3; ++channel)
        most = std::max(most, std::abs(left[channel] - right[channel]));
    return most;
}

std::vector<bool> foreground_of(const Image& image) {
    const Rgb ground = ground_of(image);
    std::vector<bool> mask(static_cast<std::size_t>(image.width * image.height));
    for (std::size_t i = 0; i < mask.size(); ++i)
        mask[i] = colour_distance(pixel(image, static_cast<int>(i)), ground) > kForeground;
    return mask;
}

SeenScene read_scene(const Image& image) {
    SeenScene scene;
    scene.ground = ground_of(image);
    scene.background = nearest_colour(scene.ground);
    std::vector<bool> mask = foreground_of(image);
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if (!mask[i]) continue;
        const auto part = take_part(mask, image.width, static_cast<int>(i));
        if (static_cast<int>(part.size()) >= kSmallest) scene.things.push_back(look_at(image, part));
    }
    std::sort(scene.things.begin(), scene.things.end(),
              [](const SeenThing& left, const SeenThing& right) { return left.area > right.area; });
    return scene;
}

std::string SeenScene::words() const {
    std::string text;
    for (const SeenThing& thing : things) text += "a " + thing.colour + " " + thing.shape + ", ";
    return text + "on " + background;
}

}  // namespace sdxl
