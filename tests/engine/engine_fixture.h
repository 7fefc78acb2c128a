// An engine with folders of its own, and the micro model to ask for.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "engine/device_engines.h"
#include "image/png.h"

namespace sdxl {

namespace fs = std::filesystem;

class EngineTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ =
            fs::temp_directory_path() /
            ("sdxl_engine_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
        fs::create_directories(folder_ / "models");
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        engine_ = make_engine(config);
    }
    void TearDown() override {
        engine_.reset();
        fs::remove_all(folder_);
    }

    static GenerationRequest request() {
        GenerationRequest request;
        request.model = SDXL_FIXTURES "/micro";
        request.prompt = "a b";
        request.width = 64;
        request.height = 64;
        request.steps = 2;
        request.seed = 5;
        request.id = "job/1";
        return request;
    }

    template <class T, class Request>
    Result<T> run(const Request& request, JobContext context = {}) {
        std::promise<Result<T>> promise;
        engine_->submit(request, std::move(context),
                        JobDone<T>([&](Result<T> result) { promise.set_value(std::move(result)); }));
        return promise.get_future().get();
    }
    Result<GenerationResult> generate(const GenerationRequest& request,
                                      std::shared_ptr<CancelToken> token = std::make_shared<CancelToken>(),
                                      ProgressSink progress = nullptr) {
        JobContext context;
        context.token = std::move(token);
        context.progress = std::move(progress);
        return run<GenerationResult>(request, std::move(context));
    }
    Result<ModelInfo> load(const std::string& model) { return run<ModelInfo>(ModelLoadRequest{model}); }

    std::vector<std::uint8_t> pixels(const GeneratedImage& image) const {
        return decode_png(read(image.path)).pixels;
    }

    static std::vector<std::uint8_t> read(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::size_t files_in_output() const {
        if (!fs::exists(folder_ / "out")) return 0;
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(folder_ / "out"), fs::directory_iterator()));
    }

    fs::path folder_;
    std::unique_ptr<Engine> engine_;
};

}  // namespace sdxl
