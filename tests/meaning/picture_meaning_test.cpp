// What the demo model's pictures show: that prompts, guidance, schedulers, precisions and pictures to start
// from do what they are for. Looks at pixels alone.
#include <map>

#include "image/png.h"
#include "meaning_fixture.h"
#include "request/names.h"

namespace sdxl {
namespace {

struct One {
    const char* colour;
    const char* shape;
    const char* background;
    std::string prompt() const {
        const std::string article = std::string("aeiou").find(colour[0]) != std::string::npos ? "an " : "a ";
        return article + colour + " " + shape + " on a " + background + " background";
    }
};
constexpr One kOnes[] = {{"red", "circle", "blue"},       {"yellow", "star", "purple"},
                         {"green", "square", "white"},    {"white", "ring", "black"},
                         {"black", "triangle", "yellow"}, {"blue", "cross", "pink"},
                         {"purple", "circle", "green"},   {"red", "square", "gray"}};

bool shows(const SeenScene& scene, const std::string& colour, const std::string& shape) {
    return std::any_of(scene.things.begin(), scene.things.end(), [&](const SeenThing& thing) {
        return thing.colour == colour && thing.shape == shape;
    });
}

bool shows(const SeenScene& scene, const One& one) {
    return scene.background == one.background && scene.things.size() == 1 &&
           shows(scene, one.colour, one.shape);
}

TEST_F(Meaning, ObjectsHaveTheColourAndTheShapeThatWereAsked) {
    Score background(kRightBackground), colour(kRightColour), shape(kRightShape);
    for (const One& one : kOnes) {
        GenerationRequest request = asking(one.prompt());
        request.batch_size = 2;
        for (const Image& image : draw(request)) {
            ASSERT_EQ(image.width, 128) << "the model's own size";
            const SeenScene scene = read_scene(image);
            const std::string what = one.prompt() + ": " + scene.words();
            background.add(scene.background == one.background, what);
            colour.add(!scene.things.empty() && scene.things[0].colour == one.colour, what);
            shape.add(!scene.things.empty() && scene.things[0].shape == one.shape, what);
        }
    }
    background.check("background");
    colour.check("colour");
    shape.check("shape");
}

TEST_F(Meaning, ObjectsStandWhereTheyWereAsked) {
    struct Place {
        const char* words;
        double x, y;
    };
    Score place(kRightPlace);
    for (const Place& where :
         {Place{"on the left", 0.25, 0.5}, Place{"on the right", 0.75, 0.5}, Place{"at the top", 0.5, 0.25},
          Place{"at the bottom", 0.5, 0.75}, Place{"at the top left", 0.26, 0.26},
          Place{"at the bottom right", 0.74, 0.74}}) {
        for (const char* thing : {"a red circle ", "a white star "}) {
            const std::string prompt = std::string(thing) + where.words + " on a blue background";
            const SeenScene scene = read_scene(draw_one(asking(prompt)));
            // Nearer to it than to any other of the nine places.
            const bool right = scene.things.size() == 1 && std::abs(scene.things[0].x - where.x) < 0.125 &&
                               std::abs(scene.things[0].y - where.y) < 0.125;
            place.add(right, prompt + ": " + scene.words());
        }
    }
    place.check("place");
}

TEST_F(Meaning, TwoObjectsKeepTheirOwnColoursShapesAndPlaces) {
    struct Two {
        const char* prompt;
        const char* first[2];
        const char* second[2];
        double right, down;  // where the first one is, seen from the second
    };
    Score pair(kRightPair);
    for (const Two& two : {Two{"a red circle left of a green square on a white background",
                               {"red", "circle"},
                               {"green", "square"},
                               -1,
                               0},
                           Two{"a yellow star right of a white ring on a purple background",
                               {"yellow", "star"},
                               {"white", "ring"},
                               1,
                               0},
                           Two{"a blue square above an orange circle on a black background",
                               {"blue", "square"},
                               {"orange", "circle"},
                               0,
                               -1},
                           Two{"a black cross below a red triangle on a pink background",
                               {"black", "cross"},
                               {"red", "triangle"},
                               0,
                               1}}) {
        GenerationRequest request = asking(two.prompt);
        request.batch_size = 2;
        for (const Image& image : draw(request)) {
            const SeenScene scene = read_scene(image);
            const auto find = [&](const char* const(&names)[2]) -> const SeenThing* {
                for (const SeenThing& thing : scene.things)
                    if (thing.colour == names[0] && thing.shape == names[1]) return &thing;
                return nullptr;
            };
            const SeenThing *first = find(two.first), *second = find(two.second);
            const bool right = scene.things.size() == 2 && first != nullptr && second != nullptr &&
                               (first->x - second->x) * two.right + (first->y - second->y) * two.down > 0.2;
            pair.add(right, std::string(two.prompt) + ": " + scene.words());
        }
    }
    pair.check("two objects");
}

TEST_F(Meaning, GuidanceDrawsMoreOfWhatIsAsked) {
    Score guided(kRightPair), free(0);
    for (const One& one : kOnes) {
        GenerationRequest request = asking(one.prompt());
        request.guidance_scale = 7;
        const SeenScene with = read_scene(draw_one(request));
        guided.add(shows(with, one), one.prompt() + ": " + with.words());
        request.guidance_scale = 1;
        free.add(shows(read_scene(draw_one(request)), one), "");
    }
    guided.check("guidance 7");
    EXPECT_GE(guided.right(), free.right()) << "guidance 1 drew more of what was asked";
}

// The prompt leaves the colour open: what is drawn most often is then what must not be drawn.
TEST_F(Meaning, NegativePromptsAreNotDrawn) {
    const auto count = [&](const std::string& negative, std::map<std::string, int>& colours) {
        GenerationRequest request = asking("a circle on a gray background");
        request.negative_prompt = negative;
        request.batch_size = 12;
        for (const Image& image : draw(request))
            for (const SeenThing& thing : read_scene(image).things) ++colours[thing.colour];
    };
    std::map<std::string, int> open;
    count("", open);
    ASSERT_FALSE(open.empty());
    const auto most = *std::max_element(open.begin(), open.end(), [](const auto& left, const auto& right) {
        return left.second < right.second;
    });
    std::map<std::string, int> without;
    count("a " + most.first + " circle on a gray background", without);
    EXPECT_LE(without[most.first] * 2, most.second) << most.first << " things, with and without";
}

TEST_F(Meaning, EverySchedulerDrawsTheSameScene) {
    for (const SchedulerType scheduler : all_schedulers()) {
        GenerationRequest request = asking(kOnes[0].prompt());
        request.scheduler = scheduler;
        const SeenScene scene = read_scene(draw_one(request));
        EXPECT_TRUE(shows(scene, kOnes[0])) << scheduler_title(scheduler) << " drew " << scene.words();
    }
}

// On what computes in a precision itself: this machine's best backend, or another where that one would use
// float32.
class PrecisionMeaning : public Meaning {
  protected:
    // Of 255: the most that rounding of weights may change of a picture that is the same to the eye.
    static void expect_as_float(Precision precision, double most) {
        for (const char* backend : {"", "torch", "reference"}) {
            std::unique_ptr<Engine> engine;
            try {
                engine = engine_on(backend);
            } catch (const std::exception&) {
                continue;  // not built on this machine
            }
            GenerationRequest request = asking(kOnes[0].prompt());
            request.precision = precision;
            request.steps = 1;
            const auto tried = answer(request, *engine);
            ASSERT_TRUE(tried.ok()) << backend << ": " << tried.error().message;
            if (std::any_of(tried->warnings.begin(), tried->warnings.end(),
                            [](const std::string& warning) { return warning.starts_with("precision:"); }))
                continue;
            for (const One& one : {kOnes[0], kOnes[3]}) {
                request = asking(one.prompt());
                request.precision = Precision::kF32;
                const Image exact = draw_one(request);
                request.precision = precision;
                const Image rounded = draw(request, *engine).front();
                EXPECT_LT(difference(rounded, exact), most) << one.prompt() << " on '" << backend << "'";
                EXPECT_GT(difference(rounded, exact), 0) << one.prompt() << " on '" << backend << "'";
                EXPECT_EQ(read_scene(rounded).words(), read_scene(exact).words());
            }
            return;
        }
        GTEST_SKIP() << "NOT TESTED: nothing here computes in it";
    }
};

TEST_F(PrecisionMeaning, Bfloat16DrawsWhatFloatDraws) {
    expect_as_float(Precision::kBF16, 10);
}

TEST_F(PrecisionMeaning, Int8DrawsWhatFloatDraws) {
    expect_as_float(Precision::kInt8, 16);
}

TEST_F(Meaning, StrengthSaysHowMuchOfAPictureIsRedrawn) {
    const Image begin = draw_one(asking("a green square on the left on a white background"));
    double before = 0;
    for (const double strength : {0.2, 0.5, 0.8}) {
        GenerationRequest request = asking("a red circle on the right on a blue background");
        request.init_pixels = std::make_shared<Image>(begin);
        request.strength = strength;
        const double changed = difference(draw_one(request), begin);
        EXPECT_GT(changed, before) << "strength " << strength;
        before = changed;
        if (strength < 0.3) {
            EXPECT_EQ(read_scene(draw_one(request)).background, "white");
        }
    }
    GenerationRequest all = asking("a red circle on the right on a blue background");
    all.init_pixels = std::make_shared<Image>(begin);
    all.strength = 1;
    EXPECT_EQ(read_scene(draw_one(all)).background, "blue");
}

TEST_F(Meaning, InpaintingDrawsInsideTheMaskAlone) {
    const Image begin = draw_one(asking("a red circle on the left on a white background"));
    GenerationRequest request = asking("a red circle left of a blue square on a white background");
    request.init_pixels = std::make_shared<Image>(begin);
    Image mask{128, 128, 3, std::vector<std::uint8_t>(begin.pixels.size(), 0)};
    for (std::size_t i = 0; i < mask.pixels.size(); ++i)
        if (i / 3 % 128 >= 64) mask.pixels[i] = 255;
    request.mask_image.bytes = std::make_shared<std::vector<std::uint8_t>>(encode_png(mask));
    const Image image = draw_one(request);
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
        if (i / 3 % 128 < 64) {
            ASSERT_EQ(image.pixels[i], begin.pixels[i]) << "outside of the mask, value " << i;
        }
    const SeenScene scene = read_scene(image);
    ASSERT_GE(scene.things.size(), 2U) << scene.words();
    EXPECT_TRUE(std::any_of(scene.things.begin(), scene.things.end(), [](const SeenThing& thing) {
        return thing.x > 0.5 && thing.colour == "blue";
    })) << scene.words();
}

}  // namespace
}  // namespace sdxl
