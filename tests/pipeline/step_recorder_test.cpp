// Replayed steps draw the same to the bit, and a recording ends with what it was made for.
#include "pipeline/step_recorder.h"

#include <functional>

#include "micro_model.h"
#include "recording_backend.h"

namespace {

using namespace sdxl;

using ModelPtr = std::shared_ptr<const SdxlModel>;

class StepRecorderTest : public MicroModelTest {
  protected:
    StepRecorderTest()
        : recording_(make_recording_backend(make_onednn_backend(), counts_)),
          recorded_(
              load_sdxl_model(SDXL_FIXTURES "/micro", *recording_, {DType::kF32}, CancelToken(), nullptr)) {}

    static GenerationRequest request() {
        GenerationRequest small = MicroModelTest::request();
        small.width = 64;
        small.height = 48;
        return small;
    }
    StepRecorder& recorder() { return *recorded_->recorder; }
    WeightPlacement& unet() { return recorded_->weights->part(AdapterPart::kUnet)->placement(); }
    Context own_context(Trace* trace = nullptr) { return {*recording_, DType::kF32, nullptr, trace}; }

    static std::vector<float> latents_of(const Context& ctx, const SdxlModel& model,
                                         const GenerationRequest& request, std::uint64_t seed = 7) {
        Conditioning conditioning(ctx, model, request, plan_sampling(request, model).guidance());
        SdxlGeneration generation(model, request, {}, seed);
        EXPECT_TRUE(generation.prepare(ctx, *model.vae));
        SdxlGeneration* one = &generation;
        while (!generation.done()) EXPECT_TRUE(step_together(ctx, model, conditioning, std::span(&one, 1)));
        return generation.latents().values;
    }
    std::vector<float> replayed(const GenerationRequest& request, std::uint64_t seed = 7) {
        return latents_of(own_context(), *recorded_, request, seed);
    }
    static std::vector<float> plain(const GenerationRequest& request, std::uint64_t seed = 7) {
        return latents_of(context(), model(), request, seed);
    }

    RecordingCounts counts_;
    std::unique_ptr<Backend> recording_;
    ModelPtr recorded_;
};

TEST_F(StepRecorderTest, TheSecondStepIsRecordedAndReplayedFromThenOn) {
    auto asked = request();
    asked.steps = 5;
    EXPECT_EQ(replayed(asked), plain(asked));
    EXPECT_EQ(counts_.recordings, 1);
    EXPECT_EQ(counts_.replays, 4);
    EXPECT_EQ(recorder().replays(), 4U);
    EXPECT_EQ(counts_.refused, 0) << "a device could not have recorded that";
}

TEST_F(StepRecorderTest, LaterRequestsReplayTheSame) {
    EXPECT_EQ(replayed(request()), plain(request()));
    auto other = request();
    other.prompt = "x y z";
    other.guidance_scale = 3;
    const auto expected = plain(other, 11);
    counts_.replays = 0;
    EXPECT_EQ(replayed(other, 11), expected);
    EXPECT_EQ(counts_.replays, *other.steps);
    EXPECT_EQ(replayed(request()), plain(request()));
    EXPECT_EQ(counts_.recordings, 1);
}

TEST_F(StepRecorderTest, RequestsThatTakeTurnsReplayEachTheirOwn) {
    auto other = request();
    other.prompt = "x y z";
    const Context ctx = own_context();
    Conditioning one(ctx, *recorded_, request(), true), two(ctx, *recorded_, other, true);
    SdxlGeneration first(*recorded_, request(), {}, 7), second(*recorded_, other, {}, 8);
    first.prepare(ctx, *recorded_->vae);
    second.prepare(ctx, *recorded_->vae);
    SdxlGeneration* pictures[] = {&first, &second};
    while (!first.done()) {
        EXPECT_TRUE(step_together(ctx, *recorded_, one, std::span(pictures, 1)));
        EXPECT_TRUE(step_together(ctx, *recorded_, two, std::span(pictures + 1, 1)));
    }
    EXPECT_EQ(counts_.replays, 2 * *other.steps - 1);
    EXPECT_EQ(first.latents().values, plain(request(), 7));
    EXPECT_EQ(second.latents().values, plain(other, 8));
}

TEST_F(StepRecorderTest, WhatEndsARecording) {
    struct Case {
        const char* name;
        std::function<void(GenerationRequest&)> change;
        std::function<void()> act = [] {};
    };
    const Case cases[] = {
        {"size", [](auto& asked) { asked.width = 72; }},
        {"batch", [](auto& asked) { asked.guidance_scale = 1; }},
        {"tokens", [](auto& asked) { asked.prompt = std::string(200, 'a') + " " + std::string(400, 'b'); }},
        {"perturbed attention", [](auto& asked) { asked.pag_scale = 2; }},
        {"FreeU",
         [](auto& asked) {
             asked.free_u = FreeUFactors{};
             asked.free_u->b1 = 1.3;
         }},
        {"weights that left", [](auto&) {}, [&] { unet().drop_all(); }},
        {"a weight that was exchanged", [](auto&) {},
         [&] {
             WeightSlot& slot = *unet().all().front();
             unet().exchange(slot, slot.make());
         }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(replayed(request()), plain(request()));
        EXPECT_TRUE(recorder().recorded());
        auto asked = request();
        c.change(asked);
        c.act();
        const int before = counts_.recordings;
        EXPECT_EQ(replayed(asked), plain(asked));
        EXPECT_EQ(counts_.recordings, before + 1);
        EXPECT_EQ(counts_.living, 1);
    }
    EXPECT_EQ(counts_.refused, 0);
    recorder().end();
    EXPECT_EQ(counts_.living, 0);
}

TEST_F(StepRecorderTest, NothingIsRecordedWhileWeightsStream) {
    replayed(request());
    const int before = counts_.recordings;
    unet().stream(0);
    EXPECT_EQ(replayed(request()), plain(request()));
    EXPECT_EQ(counts_.recordings, before);
    EXPECT_EQ(counts_.living, 0);
    unet().stay();
}

TEST_F(StepRecorderTest, NothingIsRecordedWhereOpsAreTracedOrItIsNotAllowed) {
    Trace trace;
    EXPECT_EQ(latents_of(own_context(&trace), *recorded_, request()), plain(request()));
    recorder().allow(false);
    EXPECT_EQ(replayed(request()), plain(request()));
    EXPECT_EQ(counts_.recordings, 0);
    recorder().allow(true);
    EXPECT_EQ(replayed(request()), plain(request()));
    EXPECT_EQ(counts_.recordings, 1);
    recorder().allow(false);
    EXPECT_EQ(counts_.living, 0);
}

TEST_F(StepRecorderTest, WhereRecordingFailsStepsGoOn) {
    counts_.fail = true;
    EXPECT_EQ(replayed(request()), plain(request()));
    EXPECT_EQ(recorder().failure(), "nothing is recorded today");
    counts_.fail = false;
    EXPECT_EQ(replayed(request()), plain(request()));
    EXPECT_EQ(counts_.recordings, 0) << "once is enough";
}

// What control models and reference images bring is read anew in each pass, and counts as of a kind.
TEST_F(StepRecorderTest, ResidualsAndImagesAreInputs) {
    const Context ctx = own_context();
    Conditioning conditioning(ctx, *recorded_, request(), false);
    UNetConditioning made = conditioning.for_batch(ctx, *recorded_, {}, 1);
    made.images = {made.kv};
    const auto values = [&](std::int64_t count, float value) {
        return std::vector<float>(static_cast<std::size_t>(count), value);
    };
    const Shape shape{1, 8, 8, recorded_->unet->config().in_channels};
    const Shape inner{1, 2, 2, recorded_->unet->config().block_out_channels.back()};
    const auto pass = [&](float mid, float scale) {
        UNetOptions options;
        options.image_scales = {scale};
        if (mid != 0) options.control.mid = ops::upload(ctx, values(inner.numel(), mid), inner);
        const std::vector<float> times{500};
        const auto input =
            recorded_->unet->input(ctx, ops::upload(ctx, values(shape.numel(), mid), shape), times);
        const auto found = ops::download(ctx, recorder().forward(ctx, input, made, options));
        EXPECT_EQ(found, ops::download(ctx, recorded_->unet->forward(ctx, input, made, options)));
        return counts_.replays;
    };
    pass(0.1F, 1);
    EXPECT_EQ(pass(0.2F, 1), 1);
    EXPECT_EQ(pass(-3, 1), 2);
    EXPECT_EQ(pass(-3, 0.5F), 2) << "the image counts otherwise";
    EXPECT_EQ(pass(-3, 0.5F), 3);
    EXPECT_EQ(pass(0, 0.5F), 3) << "no residual any more";
    EXPECT_EQ(pass(0, 0.5F), 4);
    EXPECT_EQ(counts_.refused, 0);
}

}  // namespace
