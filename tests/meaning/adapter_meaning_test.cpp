// What LoRAs, a textual inversion, a ControlNet and the refiner do to the demo model's pictures. Each needs
// its part of assets/demo.
#include "image/png.h"
#include "meaning_fixture.h"

namespace sdxl {
namespace {

constexpr const char* kPrompt = "a big red circle on a blue background";
constexpr const char* kPastel = "lora-pastel.safetensors";
constexpr const char* kStripes = "lora-stripes.safetensors";

class Adapters : public Meaning {
  protected:
    static Image draw_with(const std::vector<std::pair<const char*, double>>& loras,
                           const std::string& prompt = kPrompt) {
        GenerationRequest request = asking(prompt);
        for (const auto& [name, weight] : loras)
            request.loras.push_back({part(name), "", weight, weight, weight});
        return draw_one(request);
    }

    // Of the object's pixels: how far a row's mean is from that a stripe below.
    static double stripes(const Image& image) {
        const std::vector<bool> object = foreground_of(image);
        constexpr int kStripe = 16, kLeast = 8;
        std::vector<double> rows(static_cast<std::size_t>(image.height), -1);
        for (int y = 0; y < image.height; ++y) {
            double sum = 0;
            int count = 0;
            for (int x = 0; x < image.width; ++x) {
                const auto at = static_cast<std::size_t>(y * image.width + x);
                if (!object[at]) continue;
                ++count;
                for (std::size_t channel = 0; channel < 3; ++channel) sum += image.pixels[at * 3 + channel];
            }
            if (count >= kLeast) rows[static_cast<std::size_t>(y)] = sum / 3 / count;
        }
        double sum = 0;
        int pairs = 0;
        for (std::size_t y = 0; y + kStripe < rows.size(); ++y) {
            if (rows[y] < 0 || rows[y + kStripe] < 0) continue;
            sum += std::abs(rows[y] - rows[y + kStripe]);
            ++pairs;
        }
        return pairs == 0 ? 0 : sum / pairs;
    }
};

// How steep outlines are: of the picture's differences between neighbours, the square's mean over the mean.
double steepness(const Image& image) {
    double squares = 0, sum = 0;
    for (int y = 0; y + 1 < image.height; ++y)
        for (int x = 0; x + 1 < image.width; ++x) {
            const auto at = (static_cast<std::size_t>(y) * image.width + x) * 3;
            for (std::size_t channel = 0; channel < 3; ++channel) {
                const double here = image.pixels[at + channel];
                const double across = image.pixels[at + 3 + channel] - here;
                const double down =
                    image.pixels[at + static_cast<std::size_t>(image.width) * 3 + channel] - here;
                squares += across * across + down * down;
                sum += std::abs(across) + std::abs(down);
            }
        }
    return sum == 0 ? 0 : squares / sum;
}

TEST_F(Adapters, ThePaletteLoraIsPastelHalfAndOff) {
    SDXL_NEEDS_PART(kPastel);
    const Image off = draw_with({});
    const double plain = mean(off), half = mean(draw_with({{kPastel, 0.5}})),
                 whole = mean(draw_with({{kPastel, 1}}));
    // It mixes 55 % of white in.
    EXPECT_GT(whole, plain + 0.3 * (255 - plain));
    EXPECT_GT(half, plain + 5);
    EXPECT_LT(half, whole - 5);
    EXPECT_EQ(draw_with({{kPastel, 0}}).pixels, off.pixels);
    EXPECT_EQ(draw_with({}).pixels, off.pixels) << "it left something behind";
}

TEST_F(Adapters, TheTextureLoraStripesAndGoesWithThePalette) {
    SDXL_NEEDS_PART(kStripes);
    const double plain = stripes(draw_with({})), striped = stripes(draw_with({{kStripes, 1}}));
    EXPECT_GT(striped, plain + 20);
    SDXL_NEEDS_PART(kPastel);
    const Image both = draw_with({{kStripes, 1}, {kPastel, 1}});
    EXPECT_GT(stripes(both), plain + 8) << "fainter in pastel";
    EXPECT_GT(mean(both), mean(draw_with({{kStripes, 1}})) + 20);
}

TEST_F(Adapters, TheTextualInversionIsABigYellowCircle) {
    SDXL_NEEDS_PART("sun.safetensors");
    const auto shows_sun = [](const SeenScene& scene) {
        constexpr int kLeast = 2000;  // pixels; of a circle of no size 1662
        return std::any_of(scene.things.begin(), scene.things.end(), [](const SeenThing& thing) {
            return thing.colour == "yellow" && thing.shape == "circle" && thing.area > kLeast;
        });
    };
    for (const char* prompt : {"a <sun> on a blue background", "a <sun> on a purple background",
                               "a <sun> above a red square on a black background"}) {
        GenerationRequest request = asking(prompt);
        const SeenScene without = read_scene(draw_one(request));
        EXPECT_FALSE(shows_sun(without)) << prompt << ": " << without.words();
        request.embeddings.push_back({part("sun.safetensors"), "<sun>"});
        const SeenScene with = read_scene(draw_one(request));
        EXPECT_TRUE(shows_sun(with)) << prompt << ": " << with.words();
    }
}

TEST_F(Adapters, TheControlNetFollowsEdgesUntilItsWeightIsNothing) {
    SDXL_NEEDS_PART("controlnet-edges");
    // The outline of a circle of 26 pixels, off the middle.
    constexpr double kX = 44, kY = 78, kRadius = 26;
    Image edges{128, 128, 3, std::vector<std::uint8_t>(std::size_t{128} * 128 * 3, 0)};
    std::vector<bool> wanted(std::size_t{128} * 128);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const double from =
            std::hypot(static_cast<double>(i % 128) + 0.5 - kX, static_cast<double>(i / 128) + 0.5 - kY);
        wanted[i] = from <= kRadius;
        if (std::abs(from - kRadius) < 0.8)
            std::fill_n(edges.pixels.begin() + static_cast<std::ptrdiff_t>(i * 3), 3, 255);
    }
    const auto overlap = [&](const Image& image) {
        const std::vector<bool> seen = foreground_of(image);
        int both = 0, either = 0;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            both += seen[i] && wanted[i] ? 1 : 0;
            either += seen[i] || wanted[i] ? 1 : 0;
        }
        return static_cast<double>(both) / either;
    };
    GenerationRequest request = asking("a yellow circle on a purple background");
    const Image free = draw_one(request);
    ControlRequest control;
    control.model = part("controlnet-edges");
    control.type = "canny";
    control.image.bytes = std::make_shared<std::vector<std::uint8_t>>(encode_png(edges));
    request.controls = {control};
    const Image led = draw_one(request);
    EXPECT_GT(overlap(led), 0.7);
    EXPECT_GT(overlap(led), overlap(free) + 0.2);
    EXPECT_EQ(read_scene(led).background, "purple");
    request.controls[0].weight = 0;
    EXPECT_LT(difference(draw_one(request), free), 1) << "it still steers";
}

TEST_F(Adapters, TheRefinerSharpensAndRepaintsNothing) {
    SDXL_NEEDS_PART("refiner/model_index.json");
    double before = 0, after = 0;
    for (const char* prompt :
         {kPrompt, "a white star on a green background", "a black cross on a yellow background",
          "a red square on a white background", "a yellow ring on a purple background"}) {
        GenerationRequest request = asking(prompt);
        const Image alone = draw_one(request);
        request.refiner = RefinerRequest{part("refiner"), 0.8, std::nullopt};
        const Image refined = draw_one(request);
        EXPECT_NE(refined.pixels, alone.pixels) << "it took no part";
        EXPECT_EQ(read_scene(refined).words(), read_scene(alone).words());
        // What overlaps: the object stays where it is.
        EXPECT_LT(difference(refined, alone), 25);
        before += steepness(alone);
        after += steepness(refined);
    }
    EXPECT_GT(after, before) << "outlines are softer";
}

TEST_F(Adapters, TheTinyDecoderShowsTheSameScene) {
    SDXL_NEEDS_PART("vae-tiny");
    GenerationRequest request = asking(kPrompt);
    const std::string words = read_scene(draw_one(request)).words();
    request.vae = part("vae-tiny");
    EXPECT_EQ(read_scene(draw_one(request)).words(), words);
}

}  // namespace
}  // namespace sdxl
