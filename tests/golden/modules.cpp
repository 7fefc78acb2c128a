#include "modules.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "backend/onednn/onednn_backend.h"
#include "backend/plugin_loader.h"
#include "backend/reference/reference_backend.h"
#include "core/error.h"
#include "models/autoencoder_kl.h"
#include "models/clip_text_model.h"
#include "models/controlnet.h"
#include "models/unet_2d_condition.h"
#include "ops/layout.h"
#include "pipeline/generation.h"
#include "weights/checkpoint.h"
#include "weights/control_file.h"
#include "weights/safetensors.h"

namespace {

using sdxl::DType;
using sdxl::Shape;
using sdxl::Tensor;
using Values = std::vector<float>;

// Relative L2 errors that pass; the picture's is the largest absolute difference, values being 0..1.
struct Limits {
    double text, unet, control, vae, run_latent, run_image;
};
constexpr Limits kFloat32{1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1.0 / 255};
// bfloat16 keeps 8 bits, so one rounding is 2^-9; these allow for those that the deepest path of each network
// adds up, measured and doubled.
constexpr Limits kBFloat16{1.5e-2, 2e-2, 2e-2, 4e-2, 3e-2, 14.0 / 255};

// int8 weights in the text encoders and the UNet. The rounding of weights and of activations is about 0.7 %
// of each product; measured and widened by half.
constexpr Limits kInt8{3.2e-2, 3e-2, 2e-2, 4e-2, 4e-2, 26.0 / 255};

struct Device {
    std::string name;
    std::unique_ptr<sdxl::Backend> backend;
    sdxl::WeightForm form;
    Limits limits;

    bool runs() const {
        return form.int8 ? backend->supports_int8(form.compute) : backend->supports(form.compute);
    }
};

// What is called `backend` in modules.h.
std::vector<Device> devices_of(const std::string& backend) {
    std::vector<Device> devices;
    if (backend.empty() || backend == "reference")
        devices.push_back({"reference-fp32", sdxl::make_reference_backend(), {DType::kF32}, kFloat32});
    if (backend.empty() || backend == "onednn") {
        devices.push_back({"onednn-fp32", sdxl::make_onednn_backend(), {DType::kF32}, kFloat32});
        devices.push_back({"onednn-bf16", sdxl::make_onednn_backend(), {DType::kBF16}, kBFloat16});
        devices.push_back({"onednn-int8", sdxl::make_onednn_backend(), {DType::kBF16, true}, kInt8});
    }
    if (backend == "torch" || backend.starts_with("torch:")) {
        const std::string id = backend == "torch" ? "cpu" : backend.substr(backend.find(':') + 1);
        const auto open = [&] { return sdxl::load_backend_plugin().open(id); };
        devices.push_back({"torch-fp32", open(), {DType::kF32}, kFloat32});
        devices.push_back({"torch-bf16", open(), {DType::kBF16}, kBFloat16});
    }
    if (devices.empty()) sdxl::fail(sdxl::ErrorCode::kInvalidRequest, "no backend " + backend);
    return devices;
}

class Expected {
  public:
    explicit Expected(const std::filesystem::path& path) : tensors_(sdxl::open_tensor_files(path).tensors) {}

    const sdxl::HostView& view(const std::string& name) const {
        const auto found = tensors_.find(name);
        if (found == tensors_.end()) sdxl::fail(sdxl::ErrorCode::kNotFound, "no golden tensor " + name);
        return found->second.view;
    }
    Values values(const std::string& name) const { return sdxl::to_f32(view(name)); }
    std::vector<std::int32_t> ids(const std::string& name) const {
        const sdxl::HostView& ids = view(name);
        std::vector<std::int32_t> result;
        for (std::int64_t i = 0; i < ids.shape.numel(); ++i) {
            std::int64_t id = 0;
            std::memcpy(&id, ids.data + i * static_cast<std::int64_t>(sizeof(id)), sizeof(id));
            result.push_back(static_cast<std::int32_t>(id));
        }
        return result;
    }
    sdxl::ops::PictureExtents extents(const std::string& name) const {
        const Shape& shape = view(name).shape;  // [N, C, H, W]
        return {shape[0], shape[1], shape[2], shape[3]};
    }

  private:
    sdxl::FileTensors tensors_;
};

double relative_l2(const Values& found, const Values& expected) {
    if (found.size() != expected.size()) return INFINITY;
    double difference = 0.0, norm = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double distance = static_cast<double>(found[i]) - static_cast<double>(expected[i]);
        difference += distance * distance;
        norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
    return std::sqrt(difference / norm);
}

// NaN where any difference is, which no limit admits.
double largest_difference(const Values& found, const Values& expected) {
    if (found.size() != expected.size()) return INFINITY;
    double largest = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double distance = std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
        if (std::isnan(distance)) return distance;
        largest = std::max(largest, distance);
    }
    return largest;
}

struct Tally {
    int ran = 0;
    int failed = 0;
};

// One model on one device, and where its results are written down.
class Checks {
  public:
    Checks(std::string layout, const sdxl::Checkpoint& checkpoint, const Device& device,
           const sdxl::ControlCheckpoint& control, const Expected& expected, Tally& tally)
        : layout_(std::move(layout)),
          checkpoint_(checkpoint),
          control_(control),
          device_(device),
          expected_(expected),
          tally_(tally),
          load_{*device.backend, device.form.compute},
          load_int8_{*device.backend, device.form.compute, nullptr, device.form.int8},
          ctx_{*device.backend, device.form.compute} {}

    void run() {
        check_text();
        check_unet();
        check_control();
        check_vae();
        check_run();
    }

  private:
    void report(const std::string& name, const char* measure, double error, double limit) {
        const bool ok = error <= limit;
        ++tally_.ran;
        if (!ok) ++tally_.failed;
        std::printf("%-4s  %-9s %-14s %-24s %s=%.3g (limit %.3g)\n", ok ? "ok" : "FAIL", layout_.c_str(),
                    device_.name.c_str(), name.c_str(), measure, error, limit);
        std::fflush(stdout);
    }
    void compare(const std::string& name, const Values& found, double limit) {
        report(name, "rel_l2", relative_l2(found, expected_.values(name)), limit);
    }

    Tensor upload_picture(const Values& nchw, const sdxl::ops::PictureExtents& e) {
        return sdxl::ops::upload(ctx_, sdxl::ops::nchw_to_nhwc(nchw, e),
                                 {e.batch, e.height, e.width, e.channels});
    }
    Tensor upload_picture(const std::string& name) {
        return upload_picture(expected_.values(name), expected_.extents(name));
    }
    Values download_picture(const Tensor& x) {
        return sdxl::ops::nhwc_to_nchw(sdxl::ops::download(ctx_, x),
                                       {x.dim(0), x.dim(3), x.dim(1), x.dim(2)});
    }

    void check_text();
    void check_unet();
    void check_unet_case(const sdxl::UNet2DConditionModel& unet, const sdxl::UNetConditioning& conditioning,
                         const std::string& suffix);
    void check_control();
    void check_vae();
    void check_run();
    sdxl::UNetConditioning condition(const sdxl::UNet2DConditionModel& unet);

    std::string layout_;
    const sdxl::Checkpoint& checkpoint_;
    const sdxl::ControlCheckpoint& control_;
    const Device& device_;
    const Expected& expected_;
    Tally& tally_;
    sdxl::LoadContext load_;
    sdxl::LoadContext load_int8_;  // of what has int8 weights where they are asked for
    sdxl::Context ctx_;
    sdxl::SdxlModel model_;  // the parts that check_unet and check_vae made, for check_run
};

sdxl::ClipTextConfig text_config(const sdxl::WeightMap& weights, const std::string& json) {
    const auto config = sdxl::detect_clip_text_config(weights);
    return json.empty() ? config : sdxl::check_against_json(config, json);
}

// Start, prompt, end, then `pad` up to the model's length.
std::vector<std::int32_t> framed(const std::vector<std::int32_t>& prompt, const sdxl::ClipTextConfig& config,
                                 std::int32_t pad) {
    std::vector<std::int32_t> ids{config.eos_token_id - 1};
    ids.insert(ids.end(), prompt.begin(), prompt.end());
    ids.push_back(config.eos_token_id);
    ids.resize(static_cast<std::size_t>(config.max_positions), pad);
    return ids;
}

// [L, A] and [L, B] -> [L, A + B]
Values beside(const Values& a, const Values& b, std::size_t length) {
    const std::size_t a_columns = a.size() / length, b_columns = b.size() / length;
    Values result;
    for (std::size_t i = 0; i < length; ++i) {
        result.insert(result.end(), a.begin() + static_cast<std::ptrdiff_t>(i * a_columns),
                      a.begin() + static_cast<std::ptrdiff_t>((i + 1) * a_columns));
        result.insert(result.end(), b.begin() + static_cast<std::ptrdiff_t>(i * b_columns),
                      b.begin() + static_cast<std::ptrdiff_t>((i + 1) * b_columns));
    }
    return result;
}

void Checks::check_text() {
    const auto config_l = text_config(checkpoint_.text_encoder, checkpoint_.configs.text_encoder);
    const auto config_g = text_config(checkpoint_.text_encoder_2, checkpoint_.configs.text_encoder_2);
    const sdxl::ClipTextModel clip_l(load_int8_, checkpoint_.text_encoder, config_l);
    const sdxl::ClipTextModel clip_g(load_int8_, checkpoint_.text_encoder_2, config_g);
    const auto length = static_cast<std::size_t>(config_l.max_positions);
    Values context, pooled;
    for (const char* prompt : {"text.negative_ids", "text.prompt_ids"}) {
        const auto ids_l = framed(expected_.ids(prompt), config_l, config_l.eos_token_id);
        const auto ids_g = framed(expected_.ids(prompt), config_g, 0);
        const auto output_g = clip_g.forward(ctx_, ids_g);
        const Values hidden_l = sdxl::ops::download(ctx_, clip_l.forward(ctx_, ids_l).hidden);
        const Values hidden_g = sdxl::ops::download(ctx_, output_g.hidden);
        const Values both = beside(hidden_l, hidden_g, length);
        const Values row = sdxl::ops::download(ctx_, output_g.pooled);
        context.insert(context.end(), both.begin(), both.end());
        pooled.insert(pooled.end(), row.begin(), row.end());
        if (prompt != std::string("text.prompt_ids")) continue;
        const double limit = device_.limits.text;
        compare("text.clip_l.penultimate", hidden_l, limit);
        compare("text.clip_g.penultimate", hidden_g, limit);
        compare("text.clip_l.skip2", sdxl::ops::download(ctx_, clip_l.forward(ctx_, ids_l, 1).hidden), limit);
        compare("text.clip_g.skip2", sdxl::ops::download(ctx_, clip_g.forward(ctx_, ids_g, 1).hidden), limit);
    }
    compare("text.context", context, device_.limits.text);
    compare("text.pooled", pooled, device_.limits.text);
}

sdxl::UNetConditioning Checks::condition(const sdxl::UNet2DConditionModel& unet) {
    const Tensor context =
        sdxl::ops::upload(ctx_, expected_.values("text.context"), expected_.view("text.context").shape);
    const Tensor pooled =
        sdxl::ops::upload(ctx_, expected_.values("text.pooled"), expected_.view("text.pooled").shape);
    return unet.prepare_conditioning(ctx_, context, pooled, expected_.values("unet.time_ids"));
}

void Checks::check_unet() {
    const auto config = sdxl::detect_unet_config(checkpoint_.unet);
    if (!checkpoint_.configs.unet.empty()) sdxl::check_against_json(config, checkpoint_.configs.unet);
    model_.unet = std::make_unique<sdxl::UNet2DConditionModel>(load_int8_, checkpoint_.unet, config);
    const auto conditioning = condition(*model_.unet);
    check_unet_case(*model_.unet, conditioning, "");
    check_unet_case(*model_.unet, conditioning, "_wide");
}

void Checks::check_unet_case(const sdxl::UNet2DConditionModel& unet,
                             const sdxl::UNetConditioning& conditioning, const std::string& suffix) {
    const Tensor output = unet.forward(ctx_, upload_picture("unet.latent" + suffix),
                                       expected_.values("unet.timestep"), conditioning);
    compare("unet.output" + suffix, download_picture(output), device_.limits.unet);
}

// The ControlNet's residuals at scale 0.7, and the UNet with them.
void Checks::check_control() {
    const auto config = sdxl::detect_controlnet_config(control_.weights);
    sdxl::check_against_json(config, control_.config);
    const sdxl::ControlNetModel net(load_, control_.weights, config);
    const sdxl::HintFeatures hint = net.embed_hint(ctx_, upload_picture("control.hint"));
    const Tensor latent = upload_picture("unet.latent");
    const Values times = expected_.values("unet.timestep");
    const auto conditioning = net.prepare_conditioning(
        ctx_, sdxl::ops::upload(ctx_, expected_.values("text.context"), expected_.view("text.context").shape),
        sdxl::ops::upload(ctx_, expected_.values("text.pooled"), expected_.view("text.pooled").shape),
        expected_.values("unet.time_ids"), {});
    sdxl::UNetOptions options;
    options.control = net.forward(ctx_, latent, std::span(&hint, 1), times, conditioning);
    constexpr float kScale = 0.7F;
    const auto scale = [&](Tensor& x) { x = sdxl::ops::scale_channels(ctx_, x, x.dim(-1), kScale); };
    const double limit = device_.limits.control;
    for (std::size_t i = 0; i < options.control.down.size(); ++i) {
        scale(options.control.down[i]);
        compare("control.down." + std::to_string(i), download_picture(options.control.down[i]), limit);
    }
    scale(options.control.mid);
    compare("control.mid", download_picture(options.control.mid), limit);
    compare("control.unet_output",
            download_picture(model_.unet->forward(ctx_, latent, times, condition(*model_.unet), options)),
            device_.limits.unet);
}

// Five steps of Euler with guidance 5 from the given noise, by the code that serves requests.
void Checks::check_run() {
    model_.scheduler.config.beta_start = 0.00085;
    model_.scheduler.config.beta_end = 0.012;
    model_.scheduler.config.beta_schedule = sdxl::BetaSchedule::kScaledLinear;
    model_.scheduler.config.timestep_spacing = sdxl::TimestepSpacing::kLeading;
    model_.scheduler.config.steps_offset = 1;
    sdxl::GenerationRequest request;
    request.steps = 5;
    request.guidance_scale = 5;
    const auto extents = expected_.extents("run.noise");
    request.width = static_cast<int>(extents.width * 8);
    request.height = static_cast<int>(extents.height * 8);
    sdxl::Conditioning conditioning(expected_.values("text.context"), expected_.values("text.pooled"),
                                    expected_.values("unet.time_ids"),
                                    expected_.view("text.context").shape[1],
                                    /*guidance=*/true);
    sdxl::SdxlGeneration generation(model_, request, {}, 0);
    generation.prepare(ctx_, *model_.vae, std::nullopt, expected_.values("run.noise"));
    sdxl::SdxlGeneration* one = &generation;
    while (!generation.done()) sdxl::step_together(ctx_, model_, conditioning, std::span(&one, 1));
    compare("run.latent", generation.latents().values, device_.limits.run_latent);
    Values pixels = model_.vae->decode(ctx_, generation.latents());  // [H, W, 3] in -1..1
    for (float& value : pixels) value = std::clamp(value / 2.F + 0.5F, 0.F, 1.F);
    const Values image = sdxl::ops::nhwc_to_nchw(pixels, expected_.extents("run.image"));
    report("run.image", "max_abs", largest_difference(image, expected_.values("run.image")),
           device_.limits.run_image);
}

void Checks::check_vae() {
    const auto config = sdxl::detect_vae_config(checkpoint_.vae);
    if (!checkpoint_.configs.vae.empty()) sdxl::check_against_json(config, checkpoint_.configs.vae);
    model_.vae = std::make_shared<sdxl::VaeModel>(load_, checkpoint_.vae, checkpoint_.configs.vae);
    const sdxl::AutoencoderKL vae(load_, checkpoint_.vae, config);
    const auto latents = vae.encode(ctx_, upload_picture("vae.image"));
    const Shape& shape = latents.shape;  // [N, h, w, C]
    const sdxl::ops::PictureExtents extents{shape[0], shape[3], shape[1], shape[2]};
    compare("vae.mean", sdxl::ops::nhwc_to_nchw(latents.mean, extents), device_.limits.vae);
    compare("vae.logvar", sdxl::ops::nhwc_to_nchw(latents.logvar, extents), device_.limits.vae);
    compare("vae.decoded", download_picture(vae.decode(ctx_, upload_picture("vae.latent"))),
            device_.limits.vae);
}

}  // namespace

int run_modules(const std::string& dir, const std::string& backend) {
    const std::filesystem::path folder(dir);
    const Expected expected(folder / "micro-expected.safetensors");
    const auto control = sdxl::open_control(folder / "micro" / "controlnet");
    Tally tally;
    for (const Device& device : devices_of(backend)) {
        if (!device.runs()) {
            std::printf("NOT COVERED: %s is not supported on this machine\n", device.name.c_str());
            continue;
        }
        for (const auto& [layout, path] :
             {std::pair{"diffusers", folder / "micro"}, std::pair{"single", folder / "micro.safetensors"}}) {
            const auto checkpoint = sdxl::open_checkpoint(path);
            Checks(layout, checkpoint, device, control, expected, tally).run();
        }
    }
    std::printf("%d cases, %d failed\n", tally.ran, tally.failed);
    return tally.ran > 0 && tally.failed == 0 ? 0 : 1;
}
