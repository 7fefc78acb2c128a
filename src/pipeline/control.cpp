#include "pipeline/control.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "image/mask.h"
#include "ops/ops.h"

namespace sdxl {
namespace {

std::string who(const ControlModel& model) {
    return "the " + std::string(control_kind_name(model.kind())) + " '" + model.path().string() + "'";
}

[[noreturn]] void refuse_network(const ControlModel& control, const SdxlModel& model) {
    fail(ErrorCode::kInvalidModel, who(control) + " was made for another kind of network than '" +
                                       model.path.string() +
                                       "' has (a refiner's, perhaps): use it with an SDXL base model");
}

void require_fits(const ControlModel& control, const SdxlModel& model) {
    const UNetConfig& unet = model.unet->config();
    if (const auto* adapter = control.t2i_adapter()) {
        // A state for each down block, and one more of the last one's width for the middle.
        std::vector<std::int64_t> channels = unet.block_out_channels;
        channels.push_back(channels.back());
        if (adapter->config().channels != channels) refuse_network(control, model);
        return;
    }
    const UNetConfig& own = control.controlnet()->config().encoder;
    const bool blind =
        own.mid_depth == 0 && std::ranges::all_of(own.down_depths, [](int d) { return d == 0; });
    const bool takes_prompt = own.cross_attention_dim == unet.cross_attention_dim || blind;
    if (own.block_out_channels != unet.block_out_channels || own.layers_per_block != unet.layers_per_block ||
        !takes_prompt || own.pooled_dim != unet.pooled_dim || own.time_id_count != unet.time_id_count ||
        own.in_channels != unet.out_channels)
        refuse_network(control, model);
}

void require_sense(const ControlUse& use, int width, int height) {
    const ControlModel& model = *use.model;
    if (!std::isfinite(use.weight))
        fail(ErrorCode::kInvalidRequest, "the weight of " + who(model) + " is not a number");
    const auto* net = model.controlnet();
    if (net == nullptr && use.guess_mode)
        fail(ErrorCode::kInvalidRequest, who(model) + " has no guess mode: leave it out");
    const int types = net != nullptr ? net->config().control_types : 0;
    if (use.hints.empty() || (types == 0 && use.hints.size() > 1))
        fail(ErrorCode::kInvalidRequest,
             who(model) + " takes one control picture, found " + std::to_string(use.hints.size()));
    for (const ControlHint& hint : use.hints) {
        if (hint.type < 0 || hint.type >= std::max(1, types))
            fail(ErrorCode::kInvalidRequest, who(model) + " does not know control type " +
                                                 std::to_string(hint.type) + ", it has " +
                                                 std::to_string(types));
        if (hint.image == nullptr || hint.image->width != width || hint.image->height != height ||
            hint.image->channels != 3)
            fail(ErrorCode::kInternal, "a control picture was not brought to the size of the picture");
    }
}

// 8 bits to 0..1, interleaved.
std::vector<float> zero_to_one(const Image& image) {
    std::vector<float> values(image.pixels.size());
    std::transform(image.pixels.begin(), image.pixels.end(), values.begin(),
                   [](std::uint8_t pixel) { return static_cast<float>(pixel) / 255.F; });
    return values;
}

void accumulate(const Context& ctx, Tensor& sum, const Tensor& x) {
    sum = sum.defined() ? ops::add(ctx, sum, x) : x;
}

Tensor scaled(const Context& ctx, const Tensor& x, float factor) {
    return factor == 1.F ? x : ops::scale_channels(ctx, x, x.dim(-1), factor);
}

// From the entries that the ControlNet saw to those of the call: zeros for a negative half that it did not
// see, the prompt's for the perturbed part. [n, h, w, C] -> [entries, h, w, C]
Tensor spread(const Context& ctx, const Tensor& x, const ControlledCall& call, bool negative_seen) {
    const Shape tokens{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
    Tensor all = x.reshape(tokens);
    const Tensor prompt = all.slice(x.dim(0) - call.pictures, call.pictures);
    if (call.parts.negative && !negative_seen) {
        const Shape part{call.pictures, tokens[1], tokens[2]};
        const std::vector<float> zeros(static_cast<std::size_t>(part.numel()), 0.F);
        all = ops::concat_batch(ctx, ops::upload(ctx, zeros, part), all);
    }
    if (call.parts.perturbed) all = ops::concat_batch(ctx, all, prompt);
    return all.reshape({all.dim(0), x.dim(1), x.dim(2), x.dim(3)});
}

// torch's logspace(-1, 0, count): 0.1 to 1.
float guess_factor(std::size_t index, std::size_t count) {
    return static_cast<float>(
        std::pow(10.0, -1.0 + static_cast<double>(index) / static_cast<double>(count - 1)));
}

}  // namespace

Control::Control(const SdxlModel& model, ControlUse use, int width, int height) : use_(std::move(use)) {
    require_fits(*use_.model, model);
    require_sense(use_, width, height);
}

bool Control::applies(double before, double behind) const {
    return use_.weight != 0 && before >= use_.start && behind <= use_.end;
}

void Control::add_to(ControlResiduals& sum, const Context& ctx, const Conditioning& conditioning,
                     const ControlledCall& call) {
    if (use_.model->t2i_adapter() != nullptr)
        add_states(sum, ctx, call);
    else
        add_residuals(sum, ctx, conditioning, call);
}

void Control::embed_hints(const Context& own) {
    for (const ControlHint& hint : use_.hints) {
        const Tensor picture =
            ops::upload(own, zero_to_one(*hint.image), {1, hint.image->height, hint.image->width, 3});
        hints_.push_back(use_.model->controlnet()->embed_hint(own, picture, hint.type));
    }
}

const UNetConditioning& Control::condition(const Context& own, const Conditioning& conditioning,
                                           BatchParts parts, int pictures) {
    const auto key = std::pair(parts.negative, pictures);
    if (const auto found = prompts_.find(key); found != prompts_.end()) return found->second;
    std::vector<int> types;
    for (const ControlHint& hint : use_.hints) types.push_back(hint.type);
    const PromptBatch prompts = conditioning.prompts_for(own, parts, pictures);
    return prompts_
        .emplace(key, use_.model->controlnet()->prepare_conditioning(own, prompts.context, prompts.pooled,
                                                                     prompts.time_ids, types))
        .first->second;
}

void Control::add_residuals(ControlResiduals& sum, const Context& ctx, const Conditioning& conditioning,
                            const ControlledCall& call) {
    const Context own{ctx.backend, use_.model->compute(), ctx.cancel, ctx.trace};
    if (hints_.empty()) embed_hints(own);
    // The perturbed part is the prompt's once more, which the ControlNet need not see twice.
    const BatchParts parts{call.parts.negative && !use_.guess_mode, false};
    const std::int64_t entries = static_cast<std::int64_t>(parts.count()) * call.pictures;
    const std::int64_t first = call.parts.negative && !parts.negative ? call.pictures : 0;
    const std::vector<float> timesteps(static_cast<std::size_t>(entries), call.timestep);
    ControlResiduals own_sum =
        use_.model->controlnet()->forward(own, call.latent.slice(first, entries), hints_, timesteps,
                                          condition(own, conditioning, parts, call.pictures));
    const std::size_t count = own_sum.down.size() + 1;
    const auto weighed = [&](const Tensor& x, std::size_t index) {
        const auto weight = static_cast<float>(use_.weight);
        const float factor = use_.guess_mode ? weight * guess_factor(index, count) : weight;
        return spread(ctx, ops::cast(ctx, scaled(own, x, factor), ctx.compute), call, parts.negative);
    };
    sum.down.resize(own_sum.down.size());
    for (std::size_t i = 0; i < own_sum.down.size(); ++i)
        accumulate(ctx, sum.down[i], weighed(own_sum.down[i], i));
    accumulate(ctx, sum.mid, weighed(own_sum.mid, count - 1));
}

void Control::make_states(const Context& own) {
    const T2IAdapter& adapter = *use_.model->t2i_adapter();
    const Image& image = *use_.hints.front().image;
    const std::int64_t channels = adapter.config().picture_channels;
    const auto values = channels == 1 ? to_mask(image).values : zero_to_one(image);
    const auto pixels = pixel_unshuffle(values, image.height, image.width, channels);
    constexpr std::int64_t kSide = T2IAdapter::kUnshuffle;
    const Shape shape{1, (image.height + kSide - 1) / kSide, (image.width + kSide - 1) / kSide,
                      channels * kSide * kSide};
    for (const Tensor& state : adapter.forward(own, ops::upload(own, pixels, shape)))
        states_.push_back(scaled(own, state, static_cast<float>(use_.weight)));
}

void Control::add_states(ControlResiduals& sum, const Context& ctx, const ControlledCall& call) {
    const Context own{ctx.backend, use_.model->compute(), ctx.cancel, ctx.trace};
    if (states_.empty()) make_states(own);
    sum.adapter.resize(states_.size());
    for (std::size_t i = 0; i < states_.size(); ++i)
        accumulate(ctx, sum.adapter[i],
                   repeat(ctx, ops::cast(ctx, states_[i], ctx.compute), call.latent.dim(0)));
}

ControlResiduals control_residuals(const Context& ctx, const Conditioning& conditioning,
                                   std::span<Control> controls, double before, double behind,
                                   const ControlledCall& call) {
    ControlResiduals sum;
    for (Control& control : controls)
        if (control.applies(before, behind)) control.add_to(sum, ctx, conditioning, call);
    return sum;
}

}  // namespace sdxl
