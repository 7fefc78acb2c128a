// A model whose weights stream, or left and came back, draws the same picture to the bit; and what the
// rehearsal says weights take is what they take.
#include "pipeline/weight_placement.h"

#include <set>

#include "micro_model.h"
#include "pipeline/memory_plan.h"

namespace {

using namespace sdxl;

class WeightPlacementTest : public MicroModelTest {
  protected:
    ~WeightPlacementTest() override {
        unet().stay();
        make_weights(model(), {}, CancelToken(), nullptr);
    }
    static WeightPlacement& unet() { return model().weights->part(AdapterPart::kUnet)->placement(); }
};

TEST_F(WeightPlacementTest, RehearsedBytesAreTheBytes) {
    // But for what blocked layouts pad.
    const auto planned = static_cast<double>(planned_weights(model()));
    EXPECT_NEAR(static_cast<double>(resident_bytes(model())) / planned, 1, 0.01);
}

TEST_F(WeightPlacementTest, StreamedIsTheSameToTheBit) {
    const auto asked = request();
    const auto whole = run(asked, 7);
    const std::uint64_t all = unet().resident_bytes();
    for (const std::uint64_t budget : {std::uint64_t{0}, all / 2}) {
        unet().stream(budget);
        EXPECT_LE(unet().resident_bytes(), budget);
        EXPECT_EQ(run(asked, 7), whole) << budget;
        EXPECT_LE(unet().resident_bytes(), budget + model().rehearsed_unet->passing_bytes()) << budget;
        EXPECT_LT(unet().resident_bytes(), all);
    }
    unet().stay();
    EXPECT_EQ(run(asked, 7), whole);
}

TEST_F(WeightPlacementTest, WhatLeftComesBack) {
    const auto asked = request();
    const auto whole = run(asked, 7);
    const std::uint64_t digest = model().weights->digest();
    unet().drop_all();
    model().vae->placement().drop_all();
    EXPECT_EQ(unet().resident_bytes(), 0U);
    EXPECT_FALSE(unet().complete());
    EXPECT_EQ(run(asked, 7), whole);
    EXPECT_EQ(model().weights->digest(), digest);
}

TEST_F(WeightPlacementTest, ProgressIsOfAllBytes) {
    unet().drop_all();
    std::uint64_t last = 0, total = 0;
    make_weights(model(), {}, CancelToken(), [&](std::uint64_t done, std::uint64_t of) {
        EXPECT_GE(done, last);
        last = done;
        total = of;
    });
    EXPECT_EQ(last, total);
    EXPECT_EQ(total, model().weights->part(AdapterPart::kUnet)->weights().total_bytes());
}

TEST_F(WeightPlacementTest, ModelsOfTheSameFilesShareTheirNetworks) {
    ModelShelf shelf;
    const auto first = open_sdxl_model({SDXL_FIXTURES "/micro"}, *backend_, {DType::kF32}, shelf);
    const auto second = open_sdxl_model({SDXL_FIXTURES "/micro"}, *backend_, {DType::kF32}, shelf);
    EXPECT_EQ(first->unet, second->unet);
    EXPECT_EQ(first->vae, second->vae);
    EXPECT_NE(first->unet, model().unet);
    // And what they have in common.
    const auto other = open_sdxl_model({SDXL_FIXTURES "/micro", SDXL_FIXTURES "/micro.safetensors"},
                                       *backend_, {DType::kF32}, shelf);
    EXPECT_NE(first->unet, other->unet);
    EXPECT_EQ(first->text_encoder, other->text_encoder);
    EXPECT_EQ(first->text_encoder_2, other->text_encoder_2);
    EXPECT_EQ(first->vae, other->vae);
    EXPECT_EQ(resident_bytes(*first), 0U) << "opening makes nothing";
    make_weights(*first, {}, CancelToken(), nullptr);
    EXPECT_EQ(resident_bytes(*second), resident_bytes(model()));
}

}  // namespace
