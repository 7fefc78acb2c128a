// A model under adapters is the merged model, and afterwards what it was. The merged checkpoints are made
// here, with plain loops in double precision:
//   LoRA       W + w (alpha / r) up down             Hu et al. 2021
//   Tucker     ... with the middle kernel between    LyCORIS, LoCon
//   LoHa       W + w (alpha / r) (A1 B1) * (A2 B2)   Hyeon-Woo et al. 2022
//   LoKr       W + w kron(W1, W2)                    Yeh et al. 2024
//   DoRA       w (m V / ||V|| - W) + W, V = W + dW   Liu et al. 2024, the norm over the inputs of each output
//   diff       W + w D, norms and biases alike
#include <unistd.h>

#include <filesystem>
#include <random>

#include "core/host.h"
#include "micro_model.h"
#include "micro_variants.h"

namespace {

using namespace sdxl;

class AdaptedWeightsTest : public MicroModelTest {
  protected:
    AdaptedWeightsTest() { std::filesystem::create_directories(folder_); }
    ~AdaptedWeightsTest() override {
        model().weights->apply({}, 0, CancelToken());
        std::filesystem::remove_all(folder_);
    }

    Adapter write_adapter(const std::string& name, const PlainTensors& tensors) const {
        const auto path = folder_ / (name + ".safetensors");
        write_tensors(path, tensors);
        auto file = std::make_shared<const AdapterFile>(AdapterFile::open(path));
        const std::string hash = file->content_hash();
        return {std::move(file), hash};
    }
    static std::vector<float> run_with(const SdxlModel& with, const std::vector<AdapterUse>& uses) {
        const auto asked = request();
        with.weights->apply(uses, std::uint64_t{1} << 30U, CancelToken());
        Conditioning conditioning(context(), with, asked, true);
        SdxlGeneration generation(with, asked, {}, 7);
        SdxlGeneration* one = &generation;
        EXPECT_TRUE(generation.prepare(context(), *with.vae));
        while (!generation.done())
            EXPECT_TRUE(step_together(context(), with, conditioning, std::span(&one, 1)));
        return generation.latents().values;
    }
    static double relative(const std::vector<float>& a, const std::vector<float>& b) {
        double error = 0, size = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            error = std::max(error, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
            size = std::max(size, std::abs(static_cast<double>(b[i])));
        }
        return error / size;
    }

    std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                    ("sdxl_adapted_" + std::to_string(::getpid()) +
                                     ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

// Random tensors, the same for the same seed.
class Draw {
  public:
    explicit Draw(unsigned seed) : random_(seed) {}
    PlainTensor operator()(std::vector<std::int64_t> shape, double size = 0.1) {
        PlainTensor tensor{std::move(shape), {}};
        std::int64_t count = 1;
        for (const auto extent : tensor.shape) count *= extent;
        std::normal_distribution<double> normal(0, size);
        for (std::int64_t i = 0; i < count; ++i) tensor.values.push_back(static_cast<float>(normal(random_)));
        return tensor;
    }

  private:
    std::mt19937 random_;
};

PlainTensor scalar(float value) {
    return {{}, {value}};
}
std::int64_t columns_of(const PlainTensor& weight) {
    return static_cast<std::int64_t>(weight.values.size()) / weight.shape[0];
}
double at(const PlainTensor& matrix, std::int64_t row, std::int64_t column) {
    return static_cast<double>(matrix.values[static_cast<std::size_t>(row * columns_of(matrix) + column)]);
}

// One module's change: the adapter's tensors under `prefix`, and the merged weight.
struct Change {
    PlainTensors adapter;
    std::vector<double> delta;  // of the weight, at multiplier 1
};
using Family = Change (*)(const std::string& prefix, const PlainTensor& weight, Draw& draw);

constexpr std::int64_t kRank = 4;
constexpr float kAlpha = 2;

Change lora(const std::string& prefix, const PlainTensor& weight, Draw& draw) {
    const std::int64_t rows = weight.shape[0];
    std::vector<std::int64_t> down_shape = weight.shape, up_shape{rows, kRank};
    down_shape[0] = kRank;
    for (std::size_t i = 2; i < weight.shape.size(); ++i) up_shape.push_back(1);
    const PlainTensor up = draw(up_shape), down = draw(down_shape);
    Change change{{{prefix + ".lora_up.weight", up},
                   {prefix + ".lora_down.weight", down},
                   {prefix + ".alpha", scalar(kAlpha)}},
                  {}};
    for (std::int64_t o = 0; o < rows; ++o)
        for (std::int64_t i = 0; i < columns_of(weight); ++i) {
            double sum = 0;
            for (std::int64_t r = 0; r < kRank; ++r) sum += at(up, o, r) * at(down, r, i);
            change.delta.push_back(sum * static_cast<double>(kAlpha) / static_cast<double>(kRank));
        }
    return change;
}

// For kernels of 3 x 3: down [r, in, 1, 1], mid [r, r, 3, 3], up [out, r, 1, 1].
Change tucker(const std::string& prefix, const PlainTensor& weight, Draw& draw) {
    if (weight.shape.size() != 4 || weight.shape[2] != 3) return lora(prefix, weight, draw);
    const std::int64_t rows = weight.shape[0], in = weight.shape[1];
    const PlainTensor up = draw({rows, kRank, 1, 1}, 0.3), mid = draw({kRank, kRank, 3, 3}, 0.3),
                      down = draw({kRank, in, 1, 1}, 0.3);
    Change change{{{prefix + ".lora_up.weight", up},
                   {prefix + ".lora_mid.weight", mid},
                   {prefix + ".lora_down.weight", down},
                   {prefix + ".alpha", scalar(kAlpha)}},
                  {}};
    for (std::int64_t o = 0; o < rows; ++o)
        for (std::int64_t i = 0; i < in; ++i)
            for (std::int64_t k = 0; k < 9; ++k) {
                double sum = 0;
                for (std::int64_t a = 0; a < kRank; ++a)
                    for (std::int64_t b = 0; b < kRank; ++b)
                        sum += at(up, o, a) * at(mid, a, b * 9 + k) * at(down, b, i);
                change.delta.push_back(sum * static_cast<double>(kAlpha) / static_cast<double>(kRank));
            }
    return change;
}

Change loha(const std::string& prefix, const PlainTensor& weight, Draw& draw) {
    const std::int64_t rows = weight.shape[0], columns = columns_of(weight);
    const PlainTensor a1 = draw({rows, kRank}, 0.3), b1 = draw({kRank, columns}, 0.3),
                      a2 = draw({rows, kRank}, 0.3), b2 = draw({kRank, columns}, 0.3);
    Change change{{{prefix + ".hada_w1_a", a1},
                   {prefix + ".hada_w1_b", b1},
                   {prefix + ".hada_w2_a", a2},
                   {prefix + ".hada_w2_b", b2},
                   {prefix + ".alpha", scalar(kAlpha)}},
                  {}};
    for (std::int64_t o = 0; o < rows; ++o)
        for (std::int64_t i = 0; i < columns; ++i) {
            double first = 0, second = 0;
            for (std::int64_t r = 0; r < kRank; ++r) {
                first += at(a1, o, r) * at(b1, r, i);
                second += at(a2, o, r) * at(b2, r, i);
            }
            change.delta.push_back(first * second * static_cast<double>(kAlpha) / static_cast<double>(kRank));
        }
    return change;
}

// Whole factors, so there is no rank and alpha does not count.
Change lokr(const std::string& prefix, const PlainTensor& weight, Draw& draw) {
    const std::int64_t rows = weight.shape[0], in = weight.shape[1];
    const std::int64_t kernel = columns_of(weight) / in;
    std::vector<std::int64_t> second_shape = weight.shape;
    second_shape[0] = rows / 2;
    second_shape[1] = in / 4;
    const PlainTensor first = draw({2, 4}), second = draw(second_shape);
    Change change{
        {{prefix + ".lokr_w1", first}, {prefix + ".lokr_w2", second}, {prefix + ".alpha", scalar(kAlpha)}},
        {}};
    for (std::int64_t o = 0; o < rows; ++o)
        for (std::int64_t i = 0; i < in; ++i)
            for (std::int64_t k = 0; k < kernel; ++k)
                change.delta.push_back(at(first, o / (rows / 2), i / (in / 4)) *
                                       at(second, o % (rows / 2), i % (in / 4) * kernel + k));
    return change;
}

Change dora(const std::string& prefix, const PlainTensor& weight, Draw& draw) {
    Change change = lora(prefix, weight, draw);
    const std::int64_t rows = weight.shape[0], columns = columns_of(weight);
    std::vector<std::int64_t> shape(weight.shape.size(), 1);
    shape[0] = rows;
    PlainTensor magnitude{shape, {}};
    for (std::int64_t o = 0; o < rows; ++o) {
        double square = 0;
        std::vector<double> moved;
        for (std::int64_t i = 0; i < columns; ++i) {
            moved.push_back(at(weight, o, i) + change.delta[static_cast<std::size_t>(o * columns + i)]);
            square += moved.back() * moved.back();
        }
        const auto m = static_cast<float>(std::sqrt(square) * (1.1 + 0.1 * static_cast<double>(o % 3)));
        magnitude.values.push_back(m);
        for (std::int64_t i = 0; i < columns; ++i)
            change.delta[static_cast<std::size_t>(o * columns + i)] =
                static_cast<double>(m) * moved[static_cast<std::size_t>(i)] / std::sqrt(square) -
                at(weight, o, i);
    }
    change.adapter[prefix + ".dora_scale"] = magnitude;
    return change;
}

Change full(const std::string& prefix, const PlainTensor& weight, Draw& draw) {
    const PlainTensor diff = draw(weight.shape, 0.02);
    return {{{prefix + ".diff", diff}}, {diff.values.begin(), diff.values.end()}};
}

std::string underscored(std::string name) {
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
}

const char* const kUnetModules[] = {"down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
                                    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v",
                                    "mid_block.attentions.0.transformer_blocks.1.ff.net.0.proj",
                                    "up_blocks.0.attentions.1.proj_in",
                                    "up_blocks.1.resnets.0.conv1",
                                    "up_blocks.1.resnets.2.conv_shortcut",
                                    "down_blocks.0.resnets.1.conv2",
                                    "up_blocks.0.resnets.1.time_emb_proj"};
const char* const kTextModules[] = {"text_model.encoder.layers.0.self_attn.q_proj",
                                    "text_model.encoder.layers.1.self_attn.out_proj",
                                    "text_model.encoder.layers.0.mlp.fc1"};

struct Made {
    PlainTensors adapter;
    std::map<std::string, PlainTensors> merged;  // by component
};
Made make(Family family, double multiplier) {
    Draw draw(1);
    Made made;
    const std::tuple<const char*, const char*, std::span<const char* const>> parts[] = {
        {"unet", "lora_unet_", kUnetModules},
        {"text_encoder", "lora_te1_", kTextModules},
        {"text_encoder_2", "lora_te2_", kTextModules}};
    for (const auto& [component, prefix, modules] : parts) {
        PlainTensors weights = micro_component(component);
        for (const char* module : modules) {
            PlainTensor& weight = weights.at(std::string(module) + ".weight");
            const Change change = family(prefix + underscored(module), weight, draw);
            made.adapter.insert(change.adapter.begin(), change.adapter.end());
            for (std::size_t i = 0; i < weight.values.size(); ++i)
                weight.values[i] =
                    static_cast<float>(static_cast<double>(weight.values[i]) + multiplier * change.delta[i]);
        }
        made.merged[component] = std::move(weights);
    }
    return made;
}

TEST_F(AdaptedWeightsTest, EveryFamilyIsItsMergedModel) {
    const std::filesystem::path fixtures = SDXL_FIXTURES;
    std::filesystem::create_directories(folder_ / "single");
    std::filesystem::create_symlink(fixtures / "micro.safetensors", folder_ / "single" / "micro.safetensors");
    for (const char* tokenizer : {"tokenizer", "tokenizer_2"})
        std::filesystem::create_directory_symlink(fixtures / "micro" / tokenizer,
                                                  folder_ / "single" / tokenizer);
    const auto single = load_sdxl_model(folder_ / "single", *backend_, {DType::kF32}, CancelToken(), nullptr);
    const auto plain = run_with(model(), {});
    const std::pair<const char*, Family> families[] = {{"lora", lora}, {"tucker", tucker}, {"loha", loha},
                                                       {"lokr", lokr}, {"dora", dora},     {"diff", full}};
    for (const auto& [name, family] : families) {
        constexpr double kWeight = 0.75;
        const Made made = make(family, kWeight);
        const Adapter adapter = write_adapter(name, made.adapter);
        AdapterUse use{adapter, kWeight, kWeight, kWeight, {}};
        const auto& match = model().weights->match(adapter);
        EXPECT_EQ(match.matched, made.adapter.size()) << name;
        EXPECT_TRUE(match.unknown.empty()) << name;
        write_micro_variant(folder_ / name, made.merged.at("unet"));
        for (const char* component : {"text_encoder", "text_encoder_2"}) {
            for (const auto& file : std::filesystem::directory_iterator(folder_ / name / component))
                if (file.path().extension() == ".safetensors")
                    write_tensors(file.path(), made.merged.at(component));
        }
        const auto merged = load_sdxl_model(folder_ / name, *backend_, {DType::kF32}, CancelToken(), nullptr);
        const auto expected = run_with(*merged, {});
        EXPECT_GT(relative(plain, expected), 1e-2) << name << " must matter";
        EXPECT_LT(relative(run_with(model(), {use}), expected), 1e-4) << name << ", diffusers' folder";
        EXPECT_LT(relative(run_with(*single, {use}), expected), 1e-4) << name << ", single file";
        std::printf("%-6s folder %.1e, single file %.1e, without it %.1e\n", name,
                    relative(run_with(model(), {use}), expected),
                    relative(run_with(*single, {use}), expected), relative(plain, expected));
        // And each text encoder counts by itself.
        use.unet = 0;
        const auto text = run_with(model(), {use});
        use.text_encoder_2 = 0;
        EXPECT_GT(relative(run_with(model(), {use}), text), 1e-5) << name;
        EXPECT_EQ(run_with(model(), {}), plain) << name;
    }
}

TEST_F(AdaptedWeightsTest, NormsAndBiases) {
    PlainTensors unet = micro_unet();
    Draw draw(3);
    PlainTensors adapter;
    const std::string norm = "down_blocks.1.attentions.0.transformer_blocks.0.norm1",
                      conv = "up_blocks.1.resnets.0.conv1";
    const auto change = [&](const std::string& tensor, const std::string& name) {
        PlainTensor& values = unet.at(tensor);
        const PlainTensor diff = draw(values.shape, 0.2);
        adapter[name] = diff;
        for (std::size_t i = 0; i < values.values.size(); ++i) values.values[i] += diff.values[i];
    };
    change(norm + ".weight", "lora_unet_" + underscored(norm) + ".w_norm");
    change(norm + ".bias", "lora_unet_" + underscored(norm) + ".b_norm");
    change(conv + ".weight", "lora_unet_" + underscored(conv) + ".diff");
    change(conv + ".bias", "lora_unet_" + underscored(conv) + ".diff_b");
    write_micro_variant(folder_ / "merged", unet);
    const auto merged = load_sdxl_model(folder_ / "merged", *backend_, {DType::kF32}, CancelToken(), nullptr);
    const AdapterUse use{write_adapter("norms", adapter)};
    EXPECT_LT(relative(run_with(model(), {use}), run_with(*merged, {})), 1e-4);
    EXPECT_GT(relative(run_with(model(), {}), run_with(*merged, {})), 1e-3);
}

TEST_F(AdaptedWeightsTest, SeveralAddUpInAnyOrder) {
    Draw draw(4);
    const std::string module = kUnetModules[0];
    PlainTensors unet = micro_unet();
    PlainTensor& weight = unet.at(module + ".weight");
    const Change first = lora("lora_unet_" + underscored(module), weight, draw);
    const Change second = loha("lora_unet_" + underscored(module), weight, draw);
    for (std::size_t i = 0; i < weight.values.size(); ++i)
        weight.values[i] += static_cast<float>(0.5 * first.delta[i] - 0.25 * second.delta[i]);
    write_micro_variant(folder_ / "merged", unet);
    const auto merged = load_sdxl_model(folder_ / "merged", *backend_, {DType::kF32}, CancelToken(), nullptr);
    const AdapterUse a{write_adapter("a", first.adapter), 0.5}, b{write_adapter("b", second.adapter), -0.25};
    const auto both = run_with(model(), {a, b});
    EXPECT_LT(relative(both, run_with(*merged, {})), 1e-4);
    EXPECT_EQ(both, run_with(model(), {b, a}));
}

TEST_F(AdaptedWeightsTest, BlockWeights) {
    const Made made = make(lora, 1);
    const Adapter adapter = write_adapter("blocks", made.adapter);
    const auto plain = run_with(model(), {});
    AdapterUse use{adapter, 1, 0, 0, {{"down_blocks", 0}, {"mid_block", 0}, {"up_blocks", 0}}};
    EXPECT_EQ(run_with(model(), {use}), plain);
    use.blocks = {{"down_blocks", 1}, {"down_blocks.1", 0}, {"mid_block", 0}, {"up_blocks", 0}};
    const auto first_block = run_with(model(), {use});
    EXPECT_GT(relative(first_block, plain), 1e-5) << "down_blocks.0 is left";
    // A part's name is whole: its beginning is no name.
    const auto whole = run_with(model(), {{adapter, 1, 0, 0, {}}});
    EXPECT_EQ(run_with(model(), {{adapter, 1, 0, 0, {{"down_block", 0}, {"down_blocks.1.att", 0}}}}), whole);
    use.blocks[1] = {"down_blocks.10", 0};
    EXPECT_GT(relative(run_with(model(), {use}), first_block), 1e-5) << "down_blocks.1 is not down_blocks.10";
}

TEST_F(AdaptedWeightsTest, WhatWasKeptIsTakenUp) {
    AdaptedWeights& weights = *model().weights;
    const AdapterUse use{write_adapter("kept", make(lora, 1).adapter)};
    const std::uint64_t budget = std::uint64_t{1} << 30U;
    weights.drop_unused();
    weights.apply({use}, budget, CancelToken());
    const auto changed = weights.counts().changed;
    EXPECT_EQ(changed, std::size(kUnetModules) + 2 * std::size(kTextModules));
    EXPECT_EQ(weights.counts().kept, 0U);
    const auto digest = weights.digest();
    EXPECT_EQ(weights.unused_bytes(), 0U)
        << "the file has its own weights: the first adapter takes their memory";
    weights.apply({}, budget, CancelToken());
    EXPECT_EQ(weights.counts().kept, 0U);
    EXPECT_GT(weights.unused_bytes(), 0U);
    for (int i = 0; i < 2; ++i) {
        weights.apply({use}, budget, CancelToken());
        EXPECT_EQ(weights.counts().kept, changed);
        EXPECT_EQ(weights.digest(), digest);
        weights.apply({}, budget, CancelToken());
        EXPECT_EQ(weights.counts().kept, changed);
    }
    weights.apply({use}, budget, CancelToken());
    EXPECT_EQ(weights.counts().kept, changed);
    EXPECT_EQ(weights.digest(), digest);
    // Without room the weights are made again, to the bit.
    weights.apply({}, 0, CancelToken());
    EXPECT_EQ(weights.unused_bytes(), 0U);
    weights.apply({use}, 0, CancelToken());
    EXPECT_EQ(weights.counts().kept, 0U);
    EXPECT_EQ(weights.digest(), digest);
}

TEST_F(AdaptedWeightsTest, AFailureLeavesTheWeights) {
    AdaptedWeights& weights = *model().weights;
    const auto before = weights.digest();
    const AdapterUse use{write_adapter("cancelled", make(lora, 1).adapter)};
    CancelToken cancelled;
    cancelled.cancel();
    EXPECT_THROW(weights.apply({use}, 0, cancelled), Failure);
    EXPECT_EQ(weights.digest(), before);
    weights.apply({use}, 0, CancelToken());
    EXPECT_NE(weights.digest(), before);
    // A file of another shape is refused before anything changes.
    PlainTensors wrong;
    Draw draw(2);
    wrong["lora_unet_mid_block_attentions_0_proj_in.lora_up.weight"] = draw({64, 4});
    wrong["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"] = draw({4, 64});
    EXPECT_THROW(weights.apply({{write_adapter("wrong", wrong)}}, 0, CancelToken()), Failure);
    weights.apply({}, 0, CancelToken());
    EXPECT_EQ(weights.digest(), before);
}

TEST_F(AdaptedWeightsTest, AThousandSequencesEndWhereTheyBegan) {
    AdaptedWeights& weights = *model().weights;
    weights.apply({}, 0, CancelToken());
    const auto before = weights.digest();
    std::vector<Adapter> adapters;
    for (const auto& [name, family] :
         {std::pair{"a", Family(lora)}, {"b", Family(loha)}, {"c", Family(dora)}})
        adapters.push_back(write_adapter(name, make(family, 1).adapter));
    constexpr std::uint64_t kBudget = 200'000;  // a few weights
    std::mt19937 random(11);
    std::map<std::string, std::uint64_t> digests;  // of every state that came twice
    std::uint64_t resident = 0;
    for (int i = 0; i < 1000; ++i) {
        if (i == 200) resident = process_memory().resident_bytes;
        std::vector<AdapterUse> uses;
        std::string state;
        for (const Adapter& adapter : adapters) {
            const unsigned level = random() % 4;
            state += std::to_string(level);
            if (level > 0) uses.push_back({adapter, 0.25 * level, 0.5 * level, 1});
        }
        weights.apply(uses, kBudget, CancelToken());
        EXPECT_LE(weights.unused_bytes(), kBudget);
        if (i % 7 != 0) continue;
        const auto [known, is_new] = digests.emplace(state, weights.digest());
        if (!is_new) {
            EXPECT_EQ(known->second, weights.digest()) << state;
        }
    }
    weights.apply({}, 0, CancelToken());
    EXPECT_EQ(weights.digest(), before);
    EXPECT_EQ(weights.unused_bytes(), 0U);
    constexpr std::uint64_t kSlack = 8U << 20U;  // the allocator's; a leak of one weight a round is more
    EXPECT_LE(process_memory().resident_bytes, resident + kSlack);
}

}  // namespace
