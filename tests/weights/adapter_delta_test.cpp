// The mathematics of every family against plain formulas in double precision, element by element.
//
// Citations: LoRA and LoCon, kohya-ss/sd-scripts networks/lora.py (merge_to); the middle, LoHa, LoKr, full
// and norms, KohakuBlueleaf/LyCORIS lycoris/modules; DoRA and its strength, comfyanonymous/ComfyUI
// comfy/weight_adapter/base.py (weight_decompose); DoRA's rows, PEFT tuners/lora/dora.py.
#include "weights/adapter_delta.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "adapter_builder.h"
#include "weights/weight_scope.h"

namespace sdxl {
namespace {

using testing::AdapterBuilder;
using testing::match_with;

const std::string kLinear = "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj";  // [512, 64]
const std::string kConv = "down_blocks.1.resnets.0.conv1";    // [64, 32, 3, 3]
const std::string kSquare = "down_blocks.1.resnets.1.conv2";  // [64, 64, 3, 3]

std::string kohya(std::string name) {
    std::ranges::replace(name, '.', '_');
    return "lora_unet_" + name;
}

class AdapterDeltaTest : public ::testing::Test {
  protected:
    // A weight's element as [out, in, window].
    using Element = std::function<double(std::size_t out, std::size_t in, std::size_t at)>;

    std::vector<float> original(const std::string& tensor) const {
        return to_f32(model_.unet.find(tensor)->view);
    }

    const AdapterDelta& delta(const std::string& tensor) {
        file_.emplace(adapter_.open(metadata_));
        match_ = match_with(*file_, model_);
        return match_.of(AdapterPart::kUnet).at(tensor);
    }

    // Every element of W + multiplier * change, for a change that adds `change` at a multiplier of 1.
    void expect_change(const std::string& tensor, double multiplier, const Element& change) {
        const auto weight = original(tensor);
        std::vector<float> changed = weight;
        delta(tensor).apply(changed, static_cast<float>(multiplier));
        expect_near(tensor, changed, [&](std::size_t out, std::size_t in, std::size_t at) {
            return at_(weight, tensor, out, in, at) + multiplier * change(out, in, at);
        });
    }

    void expect_near(const std::string& tensor, const std::vector<float>& found, const Element& expected) {
        const auto [outs, ins, window] = extents(tensor);
        double worst = 0;
        double largest = 0;
        for (std::size_t out = 0; out < outs; ++out)
            for (std::size_t in = 0; in < ins; ++in)
                for (std::size_t at = 0; at < window; ++at) {
                    const double wanted = expected(out, in, at);
                    worst = std::max(worst, std::abs(at_(found, tensor, out, in, at) - wanted));
                    largest = std::max(largest, std::abs(wanted));
                }
        EXPECT_GT(largest, 0.01);
        EXPECT_LT(worst, 2e-6 * largest);
    }

    struct Extents {
        std::size_t outs, ins, window;
    };
    Extents extents(const std::string& tensor) const {
        const Shape& shape = model_.unet.find(tensor)->view.shape;
        Extents extents{static_cast<std::size_t>(shape[0]), 1, 1};
        if (shape.rank() > 1) extents.ins = static_cast<std::size_t>(shape[1]);
        for (std::size_t i = 2; i < shape.rank(); ++i)
            extents.window *= static_cast<std::size_t>(shape.dims()[i]);
        return extents;
    }
    double at_(const std::vector<float>& values, const std::string& tensor, std::size_t out, std::size_t in,
               std::size_t at) const {
        const auto [outs, ins, window] = extents(tensor);
        return values[(out * ins + in) * window + at];
    }

    // sum over r of up[out, r] down[r, in, at]
    Element product(const std::vector<float>& up, const std::vector<float>& down, std::size_t rank,
                    const std::string& tensor) const {
        const auto [outs, ins, window] = extents(tensor);
        return [=](std::size_t out, std::size_t in, std::size_t at) {
            double sum = 0;
            for (std::size_t r = 0; r < rank; ++r)
                sum += double{up[out * rank + r]} * down[(r * ins + in) * window + at];
            return sum;
        };
    }

    // sum over i, j of core[i, j, at] out[i, out] in[j, in]: LyCORIS' rebuild_tucker
    Element tucker(const std::vector<float>& core, const std::vector<float>& outs_of,
                   const std::vector<float>& ins_of, std::size_t rank, std::size_t outs, std::size_t ins,
                   std::size_t window) const {
        return [=](std::size_t out, std::size_t in, std::size_t at) {
            double sum = 0;
            for (std::size_t i = 0; i < rank; ++i)
                for (std::size_t j = 0; j < rank; ++j)
                    sum += double{core[(i * rank + j) * window + at]} * outs_of[i * outs + out] *
                           ins_of[j * ins + in];
            return sum;
        };
    }

    // m (W + change) / |W + change| - W, the norm over rows or over what one input feeds.
    Element decomposed(const std::string& tensor, const Element& change, const std::vector<float>& magnitudes,
                       bool rows) const {
        const auto weight = original(tensor);
        const auto [outs, ins, window] = extents(tensor);
        const auto merged = [=, this](std::size_t out, std::size_t in, std::size_t at) {
            return at_(weight, tensor, out, in, at) + change(out, in, at);
        };
        std::vector<double> squares(magnitudes.size());
        for (std::size_t out = 0; out < outs; ++out)
            for (std::size_t in = 0; in < ins; ++in)
                for (std::size_t at = 0; at < window; ++at)
                    squares[rows ? out : in] += std::pow(merged(out, in, at), 2);
        return [=, this](std::size_t out, std::size_t in, std::size_t at) {
            const std::size_t index = rows ? out : in;
            return magnitudes[index] * merged(out, in, at) / std::sqrt(squares[index]) -
                   at_(weight, tensor, out, in, at);
        };
    }

    static Element scaled(double scale, const Element& change) {
        return [=](std::size_t out, std::size_t in, std::size_t at) { return scale * change(out, in, at); };
    }

    Checkpoint model_ = testing::micro_folder();
    AdapterBuilder adapter_;
    std::string metadata_;
    std::optional<AdapterFile> file_;
    AdapterMatch match_;
};

TEST_F(AdapterDeltaTest, LoraOfALinearLayerIsAlphaByRank) {
    const auto down = adapter_.add(kohya(kLinear) + ".lora_down.weight", {4, 64});
    const auto up = adapter_.add(kohya(kLinear) + ".lora_up.weight", {512, 4});
    adapter_.number(kohya(kLinear) + ".alpha", 2);
    expect_change(kLinear + ".weight", 0.7, scaled(2.0 / 4, product(up, down, 4, kLinear + ".weight")));
}

TEST_F(AdapterDeltaTest, WithoutAlphaTheScaleIsOne) {
    const auto down = adapter_.add(kohya(kLinear) + ".lora_down.weight", {3, 64});
    const auto up = adapter_.add(kohya(kLinear) + ".lora_up.weight", {512, 3});
    expect_change(kLinear + ".weight", -1.5, product(up, down, 3, kLinear + ".weight"));
}

TEST_F(AdapterDeltaTest, LoraOfAConvolutionGivesItsFactors) {
    const std::string tensor = kConv + ".weight";
    const auto down = adapter_.add(kohya(kConv) + ".lora_down.weight", {5, 32, 3, 3});
    const auto up = adapter_.add(kohya(kConv) + ".lora_up.weight", {64, 5, 1, 1});
    adapter_.set(kohya(kConv) + ".alpha", {}, {8}, "I64");
    const auto change = scaled(8.0 / 5, product(up, down, 5, tensor));
    expect_change(tensor, 1, change);
    ASSERT_TRUE(delta(tensor).low_rank());
    const LowRankFactors factors = delta(tensor).factors();
    EXPECT_EQ(factors.rank, 5);
    EXPECT_EQ(factors.rows, 64);
    EXPECT_EQ(factors.columns, 32 * 9);
    EXPECT_EQ(factors.up, up);
    EXPECT_EQ(factors.down, down);
    EXPECT_FLOAT_EQ(factors.scale, 1.6F);
}

TEST_F(AdapterDeltaTest, LoraWithAMiddleIsTuckersDecomposition) {
    const std::string tensor = kConv + ".weight";
    const auto down = adapter_.add(kohya(kConv) + ".lora_down.weight", {4, 32, 1, 1});
    const auto mid = adapter_.add(kohya(kConv) + ".lora_mid.weight", {4, 4, 3, 3});
    const auto up = adapter_.add(kohya(kConv) + ".lora_up.weight", {64, 4, 1, 1});
    adapter_.number(kohya(kConv) + ".alpha", 1);
    // LyCORIS locon.py: einsum("i j k l, p i, j r -> p r k l", mid, up, down)
    std::vector<float> turned(up.size());
    for (std::size_t out = 0; out < 64; ++out)
        for (std::size_t i = 0; i < 4; ++i) turned[i * 64 + out] = up[out * 4 + i];
    expect_change(tensor, 0.5, scaled(0.25, tucker(mid, turned, down, 4, 64, 32, 9)));
    ASSERT_TRUE(delta(tensor).low_rank());
    const LowRankFactors factors = delta(tensor).factors();
    const auto whole = scaled(factors.scale, product(factors.up, factors.down, 4, tensor));
    expect_near(
        tensor,
        [&] {
            std::vector<float> change(64 * 32 * 9);
            delta(tensor).apply(change, 1);
            return change;
        }(),
        whole);
}

TEST_F(AdapterDeltaTest, LohaMultipliesTwoProducts) {
    const std::string tensor = kConv + ".weight";
    const auto a1 = adapter_.add(kohya(kConv) + ".hada_w1_a", {64, 3});
    const auto b1 = adapter_.add(kohya(kConv) + ".hada_w1_b", {3, 32 * 9});
    const auto a2 = adapter_.add(kohya(kConv) + ".hada_w2_a", {64, 3});
    const auto b2 = adapter_.add(kohya(kConv) + ".hada_w2_b", {3, 32 * 9});
    adapter_.number(kohya(kConv) + ".alpha", 1.5);
    const auto first = product(a1, b1, 3, tensor);
    const auto second = product(a2, b2, 3, tensor);
    expect_change(tensor, 2, [&](std::size_t out, std::size_t in, std::size_t at) {
        return 0.5 * first(out, in, at) * second(out, in, at);
    });
    EXPECT_FALSE(delta(tensor).low_rank());
}

TEST_F(AdapterDeltaTest, LohaWithCores) {
    const std::string tensor = kConv + ".weight";
    const auto t1 = adapter_.add(kohya(kConv) + ".hada_t1", {2, 2, 3, 3});
    const auto a1 = adapter_.add(kohya(kConv) + ".hada_w1_a", {2, 64});
    const auto b1 = adapter_.add(kohya(kConv) + ".hada_w1_b", {2, 32});
    const auto t2 = adapter_.add(kohya(kConv) + ".hada_t2", {2, 2, 3, 3});
    const auto a2 = adapter_.add(kohya(kConv) + ".hada_w2_a", {2, 64});
    const auto b2 = adapter_.add(kohya(kConv) + ".hada_w2_b", {2, 32});
    adapter_.number(kohya(kConv) + ".alpha", 1);
    const auto first = tucker(t1, a1, b1, 2, 64, 32, 9);
    const auto second = tucker(t2, a2, b2, 2, 64, 32, 9);
    expect_change(tensor, 1, [&](std::size_t out, std::size_t in, std::size_t at) {
        return 0.5 * first(out, in, at) * second(out, in, at);
    });
}

TEST_F(AdapterDeltaTest, LokrOfWholeFactorsIgnoresAlpha) {
    // LyCORIS lokr.py: with both factors whole, alpha is set to the rank.
    const auto w1 = adapter_.add(kohya(kLinear) + ".lokr_w1", {8, 4});
    const auto w2 = adapter_.add(kohya(kLinear) + ".lokr_w2", {64, 16});
    adapter_.number(kohya(kLinear) + ".alpha", 100);
    expect_change(kLinear + ".weight", 1, [&](std::size_t out, std::size_t in, std::size_t) {
        return double{w1[out / 64 * 4 + in / 16]} * w2[out % 64 * 16 + in % 16];
    });
}

TEST_F(AdapterDeltaTest, LokrOfAConvolution) {
    const std::string tensor = kConv + ".weight";
    const auto a1 = adapter_.add(kohya(kConv) + ".lokr_w1_a", {8, 2});
    const auto b1 = adapter_.add(kohya(kConv) + ".lokr_w1_b", {2, 4});
    const auto a2 = adapter_.add(kohya(kConv) + ".lokr_w2_a", {8, 3});
    const auto b2 = adapter_.add(kohya(kConv) + ".lokr_w2_b", {3, 8 * 9});
    adapter_.number(kohya(kConv) + ".alpha", 1.5);
    expect_change(tensor, 1, [&](std::size_t out, std::size_t in, std::size_t at) {
        double small = 0;
        for (std::size_t r = 0; r < 2; ++r) small += double{a1[out / 8 * 2 + r]} * b1[r * 4 + in / 8];
        double large = 0;
        for (std::size_t r = 0; r < 3; ++r)
            large += double{a2[out % 8 * 3 + r]} * b2[r * 72 + in % 8 * 9 + at];
        return 1.5 / 3 * small * large;
    });
}

TEST_F(AdapterDeltaTest, LokrWithACore) {
    const std::string tensor = kConv + ".weight";
    const auto w1 = adapter_.add(kohya(kConv) + ".lokr_w1", {4, 2});
    const auto t2 = adapter_.add(kohya(kConv) + ".lokr_t2", {3, 3, 3, 3});
    const auto a2 = adapter_.add(kohya(kConv) + ".lokr_w2_a", {3, 16});
    const auto b2 = adapter_.add(kohya(kConv) + ".lokr_w2_b", {3, 16});
    adapter_.number(kohya(kConv) + ".alpha", 6);
    const auto large = tucker(t2, a2, b2, 3, 16, 16, 9);
    expect_change(tensor, 1, [&](std::size_t out, std::size_t in, std::size_t at) {
        return 2 * w1[out / 16 * 2 + in / 16] * large(out % 16, in % 16, at);
    });
}

TEST_F(AdapterDeltaTest, FullDifferencesAreAdded) {
    const auto diff = adapter_.add(kohya(kConv) + ".diff", {64, 32, 3, 3});
    const auto bias = adapter_.add(kohya(kConv) + ".diff_b", {64});
    const Element weight = [&](std::size_t out, std::size_t in, std::size_t at) {
        return diff[(out * 32 + in) * 9 + at];
    };
    expect_change(kConv + ".weight", 0.25, weight);
    expect_change(kConv + ".bias", 0.25,
                  [&](std::size_t out, std::size_t, std::size_t) { return bias[out]; });
}

TEST_F(AdapterDeltaTest, DifferencesOfNormsAreAdded) {
    const std::string norm = "down_blocks.1.resnets.0.norm2";
    const auto weight = adapter_.add(kohya(norm) + ".w_norm", {64});
    const auto bias = adapter_.add(kohya(norm) + ".b_norm", {64});
    expect_change(norm + ".weight", 0.5,
                  [&](std::size_t out, std::size_t, std::size_t) { return weight[out]; });
    expect_change(norm + ".bias", 0.5, [&](std::size_t out, std::size_t, std::size_t) { return bias[out]; });
}

TEST_F(AdapterDeltaTest, PeftsBiasIsScaledWithItsProduct) {
    adapter_.add("unet." + kLinear + ".lora_A.weight", {2, 64});
    adapter_.add("unet." + kLinear + ".lora_B.weight", {512, 2});
    const auto bias = adapter_.add("unet." + kLinear + ".lora_B.bias", {512});
    adapter_.number("unet." + kLinear + ".alpha", 6);
    expect_change(kLinear + ".bias", 1,
                  [&](std::size_t out, std::size_t, std::size_t) { return 3.0 * bias[out]; });
}

TEST_F(AdapterDeltaTest, DoraOfInputsIsLycoris) {
    for (const double multiplier : {1.0, 0.6, 0.0}) {
        adapter_.tensors().clear();
        const std::string tensor = kSquare + ".weight";  // as many rows as inputs: only the shape tells
        const auto down = adapter_.add(kohya(kSquare) + ".lora_down.weight", {4, 64, 3, 3});
        const auto up = adapter_.add(kohya(kSquare) + ".lora_up.weight", {64, 4, 1, 1});
        const auto scale = adapter_.add(kohya(kSquare) + ".dora_scale", {1, 64, 1, 1});
        adapter_.number(kohya(kSquare) + ".alpha", 2);
        const auto change = scaled(0.5, product(up, down, 4, tensor));
        expect_change(tensor, multiplier, decomposed(tensor, change, scale, false));
        EXPECT_TRUE(delta(tensor).dora());
        EXPECT_FALSE(delta(tensor).low_rank());
    }
}

TEST_F(AdapterDeltaTest, DoraOfRows) {
    const std::string tensor = kSquare + ".weight";
    const auto down = adapter_.add(kohya(kSquare) + ".lora_down.weight", {4, 64, 3, 3});
    const auto up = adapter_.add(kohya(kSquare) + ".lora_up.weight", {64, 4, 1, 1});
    const auto scale = adapter_.add(kohya(kSquare) + ".dora_scale", {64, 1, 1, 1});
    expect_change(tensor, 0.8, decomposed(tensor, product(up, down, 4, tensor), scale, true));
}

TEST_F(AdapterDeltaTest, DoraOfPeftIsOfRowsWhateverItsShape) {
    const std::string tensor = kSquare + ".weight";
    const auto down = adapter_.add("unet." + kSquare + ".lora_A.weight", {4, 64, 3, 3});
    const auto up = adapter_.add("unet." + kSquare + ".lora_B.weight", {64, 4, 1, 1});
    const auto scale = adapter_.add("unet." + kSquare + ".lora_magnitude_vector.weight", {1, 64, 1, 1});
    expect_change(tensor, 1, decomposed(tensor, product(up, down, 4, tensor), scale, true));
}

TEST_F(AdapterDeltaTest, DoraOfLoha) {
    const std::string tensor = kLinear + ".weight";
    const auto a1 = adapter_.add(kohya(kLinear) + ".hada_w1_a", {512, 2});
    const auto b1 = adapter_.add(kohya(kLinear) + ".hada_w1_b", {2, 64});
    const auto a2 = adapter_.add(kohya(kLinear) + ".hada_w2_a", {512, 2});
    const auto b2 = adapter_.add(kohya(kLinear) + ".hada_w2_b", {2, 64});
    const auto scale = adapter_.add(kohya(kLinear) + ".dora_scale", {1, 64});
    const auto first = product(a1, b1, 2, tensor);
    const auto second = product(a2, b2, 2, tensor);
    const Element change = [&](std::size_t out, std::size_t in, std::size_t at) {
        return first(out, in, at) * second(out, in, at);
    };
    expect_change(tensor, 1, decomposed(tensor, change, scale, false));
}

TEST_F(AdapterDeltaTest, DoraOnTopOfAnotherAdapterSeesTheOriginal) {
    const std::string tensor = kLinear + ".weight";
    const auto down = adapter_.add(kohya(kLinear) + ".lora_down.weight", {4, 64});
    const auto up = adapter_.add(kohya(kLinear) + ".lora_up.weight", {512, 4});
    const auto scale = adapter_.add(kohya(kLinear) + ".dora_scale", {1, 64});
    const auto weight = original(tensor);
    std::vector<float> changed = weight;
    for (float& value : changed) value += 0.5F;  // what another adapter did
    delta(tensor).apply(changed, 1, weight);
    const auto change = decomposed(tensor, product(up, down, 4, tensor), scale, false);
    expect_near(tensor, changed, [&](std::size_t out, std::size_t in, std::size_t at) {
        return at_(weight, tensor, out, in, at) + 0.5 + change(out, in, at);
    });
}

TEST_F(AdapterDeltaTest, HalvesAreRead) {
    for (const char* dtype : {"F16", "BF16"}) {
        adapter_.tensors().clear();
        adapter_.set(kohya(kLinear) + ".lora_down.weight", {1, 64}, std::vector<float>(64, 0.5F), dtype);
        adapter_.set(kohya(kLinear) + ".lora_up.weight", {512, 1}, std::vector<float>(512, -0.375F), dtype);
        expect_change(kLinear + ".weight", 1, [](std::size_t, std::size_t, std::size_t) { return -0.1875; });
    }
}

TEST_F(AdapterDeltaTest, AnotherProductIsUsedEverywhere) {
    adapter_.add(kohya(kLinear) + ".hada_w1_a", {512, 2});
    adapter_.add(kohya(kLinear) + ".hada_w1_b", {2, 64});
    adapter_.add(kohya(kLinear) + ".hada_w2_a", {512, 2});
    adapter_.add(kohya(kLinear) + ".hada_w2_b", {2, 64});
    int calls = 0;
    const auto counted = [&calls](const float* a, const float* b, float* c, std::int64_t rows,
                                  std::int64_t inner, std::int64_t columns) {
        ++calls;
        plain_product(a, b, c, rows, inner, columns);
    };
    std::vector<float> weight = original(kLinear + ".weight");
    std::vector<float> plain = weight;
    delta(kLinear + ".weight").apply(plain, 1);
    delta(kLinear + ".weight").apply(weight, 1, {}, counted);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(weight, plain);
}

}  // namespace
}  // namespace sdxl
