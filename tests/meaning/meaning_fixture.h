// Pictures of the demo model, made in this process, and how they are scored.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "engine/device_engines.h"
#include "scene_reader.h"

namespace sdxl {

namespace fs = std::filesystem;

// What share of pictures must be right (issue 7): few pictures are drawn here, so one more may be wrong.
constexpr double kRightBackground = 0.95;
constexpr double kRightColour = 0.95;
constexpr double kRightShape = 0.90;
constexpr double kRightPlace = 0.85;
constexpr double kRightPair = 0.70;

class Score {
  public:
    explicit Score(double share) : share_(share) {}

    // `what` is told of a wrong one where too many are.
    void add(bool right, const std::string& what) {
        ++asked_;
        if (right)
            ++right_;
        else
            wrong_ += "\n  " + what;
    }
    int right() const { return right_; }
    void check(const char* name) const {
        EXPECT_GE(right_, static_cast<int>(std::ceil(share_ * asked_)) - 1)
            << name << ": " << right_ << " of " << asked_ << " are right; not:" << wrong_;
    }

  private:
    double share_;
    int right_ = 0;
    int asked_ = 0;
    std::string wrong_;
};

class Meaning : public testing::Test {
  protected:
    static void SetUpTestSuite() { engine_ = engine_on(""); }
    static void TearDownTestSuite() { engine_.reset(); }

    // With the steps and the guidance that the model recommends, as evaluate.py asks for its pictures.
    static GenerationRequest asking(const std::string& prompt) {
        GenerationRequest request;
        request.model = SDXL_DEMO_MODEL;
        request.prompt = prompt;
        request.width_of_model = request.height_of_model = true;
        request.seed = 7;
        request.keep_pixels = true;
        return request;
    }

    static std::unique_ptr<Engine> engine_on(const std::string& backend) {
        EngineConfig config;
        config.default_model = SDXL_DEMO_MODEL;
        config.devices.backend = backend;
        return make_engine(config);
    }

    static Result<GenerationResult> answer(const GenerationRequest& request, Engine& engine) {
        std::promise<Result<GenerationResult>> promise;
        engine.submit(request, JobContext{},
                      [&](Result<GenerationResult> result) { promise.set_value(std::move(result)); });
        return promise.get_future().get();
    }

    static std::vector<Image> draw(const GenerationRequest& request) { return draw(request, *engine_); }
    static std::vector<Image> draw(const GenerationRequest& request, Engine& engine) {
        const auto result = answer(request, engine);
        if (!result.ok()) {
            ADD_FAILURE() << request.prompt << ": " << result.error().message;
            return std::vector<Image>(
                static_cast<std::size_t>(request.batch_size),
                Image{128, 128, 3, std::vector<std::uint8_t>(std::size_t{128} * 128 * 3)});
        }
        std::vector<Image> pictures;
        for (const auto& image : result->images) pictures.push_back(*image.pixels);
        return pictures;
    }
    static Image draw_one(const GenerationRequest& request) { return draw(request).front(); }

    // Path of a part of the demo model.
    static std::string part(const std::string& name) { return (fs::path(SDXL_DEMO_MODEL) / name).string(); }

    static double mean(const Image& image) {
        double sum = 0;
        for (const std::uint8_t value : image.pixels) sum += value;
        return sum / static_cast<double>(image.pixels.size());
    }
    // Root of the mean square of the differences.
    static double difference(const Image& left, const Image& right) {
        double sum = 0;
        for (std::size_t i = 0; i < left.pixels.size(); ++i)
            sum += std::pow(static_cast<double>(left.pixels[i]) - right.pixels[i], 2);
        return std::sqrt(sum / static_cast<double>(left.pixels.size()));
    }

    static std::unique_ptr<Engine> engine_;
};

inline std::unique_ptr<Engine> Meaning::engine_;

}  // namespace sdxl

// For the begin of a test.
#define SDXL_NEEDS_PART(name)                                                      \
    if (!std::filesystem::exists(std::filesystem::path(SDXL_DEMO_MODEL) / (name))) \
    GTEST_SKIP() << SDXL_DEMO_MODEL << " has no " << (name) << ": nothing tests what it does"
