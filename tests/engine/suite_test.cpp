// Suites: models put together from parts, named by the host, kept within a budget, and what they share.
#include <map>
#include <random>

#include "core/host.h"
#include "engine_fixture.h"
#include "micro_variants.h"

namespace sdxl {
namespace {

class SuiteTest : public EngineTest {
  protected:
    void start(double model_cache_gb) {
        engine_.reset();
        EngineConfig config;
        config.models_dir = (folder_ / "models").string();
        config.output_dir = (folder_ / "out").string();
        config.model_cache_gb = model_cache_gb;
        engine_ = make_engine(config);
    }
    // A UNet that draws something else: its last convolution leans to one side.
    static PlainTensors leaning(int by) {
        PlainTensors unet = micro_unet();
        for (float& value : unet.at("conv_out.bias").values) value += 0.15F * static_cast<float>(by);
        return unet;
    }
    void write_unet(const std::string& name, int by) const {
        write_tensors(folder_ / "models" / name / "diffusion_pytorch_model.safetensors", leaning(by));
        fs::copy_file(fs::path(SDXL_FIXTURES) / "micro/unet/config.json",
                      folder_ / "models" / name / "config.json", fs::copy_options::overwrite_existing);
    }
    static GenerationRequest of(const std::string& suite) {
        GenerationRequest one = request();
        one.model = suite;
        one.steps = 1;
        one.keep_pixels = true;
        return one;
    }
    std::vector<std::uint8_t> draw(const std::string& suite) {
        const auto result = generate(of(suite));
        EXPECT_TRUE(result.ok()) << result.error().message;
        return result.ok() ? result->images[0].pixels->pixels : std::vector<std::uint8_t>{};
    }
    Result<ModelInfo> load_suite(const std::string& id, const ModelLoadRequest& parts) {
        ModelLoadRequest one = parts;
        one.id = id;
        return run<ModelInfo>(one);
    }
    const ModelInfo* find(const std::vector<ModelInfo>& models, const std::string& id) const {
        for (const ModelInfo& model : models)
            if (model.id == id) return &model;
        return nullptr;
    }
    // In memory, what several share once.
    std::uint64_t resident() const {
        std::uint64_t sum = 0;
        for (const ModelInfo& model : engine_->status().models) sum += model.memory_bytes;
        return sum;
    }
    const std::string micro_ = SDXL_FIXTURES "/micro";
};

TEST_F(SuiteTest, PartsStandInAndAreShared) {
    write_unet("leaning", 2);
    ModelLoadRequest own{micro_}, other{micro_};
    other.parts.unet = "leaning";
    const auto first = load_suite("plain", own);
    ASSERT_TRUE(first.ok()) << first.error().message;
    const auto second = load_suite("tuned", other);
    ASSERT_TRUE(second.ok()) << second.error().message;
    ASSERT_EQ(second->parts.size(), 1U);
    EXPECT_EQ(second->parts[0].first, "unet");
    const auto plain = draw("plain"), tuned = draw("tuned");
    EXPECT_NE(plain, tuned);
    EXPECT_EQ(engine_->status().counters.model_loads, 2U);
    // A request may put it together itself.
    GenerationRequest asked = of(micro_);
    asked.parts.unet = (folder_ / "models/leaning").string();
    const auto result = generate(asked);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->images[0].pixels->pixels, tuned);
    EXPECT_EQ(engine_->status().counters.model_loads, 2U) << "the same files were loaded again";
}

TEST_F(SuiteTest, ASuiteHasItsVaeAndItsRefiner) {
    write_micro_variant(folder_ / "models/refiner", micro_refiner(), MicroKind::kRefiner);
    PlainTensors vae = micro_component("vae");
    for (float& value : vae.at("decoder.conv_out.bias").values) value += 0.5F;
    write_micro_variant(folder_ / "models/brighter", micro_unet());
    replace_component(folder_ / "models/brighter", "vae", vae);
    ModelLoadRequest parts{micro_};
    parts.vae = "brighter";
    parts.refiner = "refiner";
    const auto loaded = load_suite("suite", parts);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->parts.size(), 2U);
    const auto result = generate(of("suite"));
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->vae_model, (folder_ / "models/brighter").string());
    EXPECT_EQ(result->refiner_model, "") << "it takes part where a request names it";
    GenerationRequest asked = of(micro_);
    asked.vae = "brighter";
    EXPECT_EQ(generate(asked)->images[0].pixels->pixels, result->images[0].pixels->pixels);
    const auto unloaded = run<ModelUnloadResult>(ModelUnloadRequest{"suite"});
    ASSERT_TRUE(unloaded.ok());
    EXPECT_EQ(unloaded->models, std::vector<std::string>{"suite"});
    EXPECT_EQ(generate(of("suite")).error().code, ErrorCode::kNotFound);
}

TEST_F(SuiteTest, AChangedPartIsNoticed) {
    write_unet("leaning", 1);
    ModelLoadRequest parts{micro_};
    parts.parts.unet = "leaning";
    ASSERT_TRUE(load_suite("suite", parts).ok());
    const auto before = draw("suite");
    fs::remove_all(folder_ / "models/leaning");
    write_unet("leaning", 4);
    EXPECT_NE(draw("suite"), before);
}

TEST_F(SuiteTest, WhatHoldsNoSuchPartIsRefused) {
    write_tensors(folder_ / "models/other.safetensors", {{"a.weight", {{2}, {1, 2}}}});
    ModelLoadRequest parts{micro_};
    parts.parts.text_encoder = "other.safetensors";
    const auto result = load_suite("suite", parts);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidModel);
    EXPECT_NE(result.error().message.find("holds no text_encoder"), std::string::npos)
        << result.error().message;
}

// Six suites under a budget of two: three models of their own and three that share all but their UNet.
TEST_F(SuiteTest, TwoHundredSequencesUnderABudgetOfTwo) {
    std::map<std::string, ModelLoadRequest> suites;
    for (int i = 0; i < 3; ++i) {
        const std::string name = "own" + std::to_string(i);
        write_micro_variant(folder_ / "models" / name, leaning(i));
        suites["suite-" + name] = {name};
    }
    for (int i = 3; i < 6; ++i) {
        const std::string name = "unet" + std::to_string(i);
        write_unet(name, i);
        ModelLoadRequest parts{micro_};
        parts.parts.unet = name;
        suites["suite-" + name] = parts;
    }
    start(0);
    std::map<std::string, std::vector<std::uint8_t>> pictures;
    std::uint64_t largest = 0;
    std::vector<std::string> ids;
    for (const auto& [id, parts] : suites) {
        const auto loaded = load_suite(id, parts);
        ASSERT_TRUE(loaded.ok()) << loaded.error().message;
        largest = std::max(largest, loaded->memory_bytes);
        pictures[id] = draw(id);
        ids.push_back(id);
    }
    const double budget = 2.1 * static_cast<double>(largest);
    start(budget / 1e9);
    std::mt19937 random(7);
    std::size_t kept = 0, most = 0;
    std::uint64_t first_resident = 0, most_resident = 0;
    for (int i = 0; i < 200; ++i) {
        const std::string& id = ids[random() % ids.size()];
        const bool there = find(engine_->status().models, id) != nullptr;
        const auto loads = engine_->status().counters.model_loads;
        const auto what = random() % 10;
        if (what < 3) {
            const auto loaded = load_suite(id, suites.at(id));
            ASSERT_TRUE(loaded.ok()) << loaded.error().message;
        } else if (what < 9) {
            if (!there) {
                ASSERT_TRUE(load_suite(id, suites.at(id)).ok());
            }
            ASSERT_EQ(draw(id), pictures.at(id)) << id << " in round " << i;
        } else {
            run<ModelUnloadResult>(ModelUnloadRequest{id});
            EXPECT_EQ(find(engine_->status().models, id), nullptr);
        }
        if (there && what < 9) {
            ++kept;
            EXPECT_EQ(engine_->status().counters.model_loads, loads) << "what was there was loaded again";
        }
        EXPECT_LE(static_cast<double>(resident()), 1.1 * 2 * budget) << "shared parts counted for each";
        most = std::max(most, engine_->status().models.size());
        const auto resident_now = process_memory().resident_bytes;
        if (i == 20) first_resident = resident_now;
        if (i >= 20) most_resident = std::max(most_resident, resident_now);
    }
    EXPECT_GT(kept, 30U);
    EXPECT_GE(most, 2U);
    EXPECT_LE(static_cast<double>(most_resident - first_resident), 0.1 * budget + 8e6) << "it grows";
}

}  // namespace
}  // namespace sdxl
