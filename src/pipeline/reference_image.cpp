#include "pipeline/reference_image.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "ops/ops.h"
#include "pipeline/reference_pixels.h"
#include "pipeline/unused_weights.h"
#include "weights/finite_check.h"
#include "weights/image_encoder_file.h"
#include "weights/ip_adapter_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

using Loaded = std::span<const std::shared_ptr<const ReferenceAdapter>>;

ClipVisionConfig config_of(const ImageEncoderCheckpoint& file) {
    const ClipVisionConfig config = detect_clip_vision_config(file.weights);
    return file.config.empty() ? config : check_against_json(config, file.config);
}

std::int64_t channels_of(const ClipVisionConfig& encoder, const ImageProjectionInput& input) {
    return input.hidden_states ? encoder.hidden_size : encoder.projection_dim;
}

// What a person looks for: the encoders that adapters for SDXL were trained with.
std::string encoder_for(const ImageProjectionInput& input) {
    std::string what = std::to_string(input.channels) +
                       (input.hidden_states ? " channels of hidden states" : " channels of a projection");
    const bool huge = input.channels == (input.hidden_states ? 1280 : 1024);
    const bool giant = input.channels == (input.hidden_states ? 1664 : 1280);
    if (huge) return what + " (ViT-H/14, models/image_encoder of h94/IP-Adapter)";
    if (giant) return what + " (ViT-bigG/14, sdxl_models/image_encoder of h94/IP-Adapter)";
    return what;
}

std::vector<fs::path> places_beside(const fs::path& adapter) {
    std::vector<fs::path> places;
    const fs::path folder = fs::absolute(adapter).parent_path();
    for (const fs::path& base : {folder, folder.parent_path()})
        for (const char* name : {"image_encoder", "models/image_encoder", "sdxl_models/image_encoder"})
            places.push_back(base / name);
    return places;
}

ImageEncoderCheckpoint open_fitting_encoder(const ReferenceFiles& files, const ImageProjectionInput& input) {
    if (!files.encoder.empty()) {
        ImageEncoderCheckpoint encoder = open_image_encoder(files.encoder);
        const std::int64_t found = channels_of(config_of(encoder), input);
        if (found == input.channels) return encoder;
        fail(ErrorCode::kInvalidModel, "'" + encoder.path.string() + "': this image encoder gives " +
                                           std::to_string(found) + " channels, but the IP-Adapter '" +
                                           files.adapter.string() + "' takes " + encoder_for(input));
    }
    std::string looked;
    for (const fs::path& place : places_beside(files.adapter)) {
        looked += (looked.empty() ? "'" : ", '") + place.string() + "'";
        std::error_code ignored;
        if (!fs::is_directory(place, ignored)) continue;
        ImageEncoderCheckpoint encoder = open_image_encoder(place);
        if (channels_of(config_of(encoder), input) == input.channels) return encoder;
        looked += " (does not fit)";
    }
    fail(ErrorCode::kNotFound, "the IP-Adapter '" + files.adapter.string() +
                                   "' needs an image encoder with " + encoder_for(input) +
                                   ", and there is none in " + looked + ": put it there or name its folder");
}

std::shared_ptr<const ImageEncoder> load_encoder(const ImageEncoderCheckpoint& file, const LoadContext& load,
                                                 const CancelToken& cancel,
                                                 std::vector<std::string>& warnings) {
    require_finite(file.weights, cancel);
    auto encoder = std::make_shared<const ImageEncoder>(
        ImageEncoder{file.path, load.compute, file.weights.total_bytes(),
                     ClipVisionModel(load, file.weights, config_of(file))});
    warnings.insert(warnings.end(), file.warnings.begin(), file.warnings.end());
    warn_unused(file.weights, warnings);
    return encoder;
}

std::shared_ptr<const ImageEncoder> find_loaded(Loaded loaded, const fs::path& path, DType compute) {
    for (const auto& adapter : loaded) {
        std::error_code ignored;
        const auto& encoder = adapter->encoder();
        if (encoder->compute == compute && fs::equivalent(encoder->path, path, ignored)) return encoder;
    }
    return nullptr;
}

}  // namespace

ReferenceAdapter::ReferenceAdapter(const Context& ctx, fs::path path, IpAdapter network,
                                   std::shared_ptr<const ImageEncoder> encoder, std::uint64_t weight_bytes)
    : path_(std::move(path)),
      network_(std::move(network)),
      encoder_(std::move(encoder)),
      weight_bytes_(weight_bytes) {
    const ImageProjectionInput& input = network_.input();
    const Context with = own(ctx);
    if (input.hidden_states) {
        // As diffusers: the states of a picture whose normalised values are all zero.
        const auto side = static_cast<std::size_t>(encoder_->model.config().image_size);
        negative_ = look(with, std::vector<float>(side * side * 3));
    } else {
        const std::vector<float> zeros(static_cast<std::size_t>(input.channels));
        negative_ =
            ops::download(with, network_.project_image(with, ops::upload(with, zeros, {1, input.channels})));
    }
}

bool ReferenceAdapter::fits(const UNetConfig& unet) const {
    return network_.context_channels() == unet.cross_attention_dim &&
           network_.channels() == cross_attention_channels(unet);
}

std::vector<float> ReferenceAdapter::look(const Context& ctx, std::span<const float> pixels) const {
    const ClipVisionModel& model = encoder_->model;
    const std::int64_t side = model.config().image_size;
    const Tensor picture = ops::upload(ctx, pixels, {1, side, side, 3});
    const Tensor seen = network_.input().hidden_states ? model.hidden_states(ctx, picture)  // [1, L, C]
                                                       : model.image_embeds(ctx, picture);  // [1, C]
    return ops::download(ctx, network_.project_image(ctx, seen));  // [1, tokens, channels]
}

std::vector<float> ReferenceAdapter::tokens(const Context& ctx,
                                            std::span<const std::shared_ptr<const Image>> images) const {
    std::vector<float> all;
    for (const auto& image : images) {
        const auto side = static_cast<int>(encoder_->model.config().image_size);
        const auto one = look(own(ctx), reference_pixels(*image, side));
        all.insert(all.end(), one.begin(), one.end());
    }
    return all;
}

std::vector<float> ReferenceAdapter::negative_tokens(std::size_t images) const {
    std::vector<float> all;
    for (std::size_t i = 0; i < images; ++i) all.insert(all.end(), negative_.begin(), negative_.end());
    return all;
}

std::vector<Tensor> ReferenceAdapter::project(const Context& ctx, std::span<const float> tokens,
                                              std::int64_t batch) const {
    const Context with = own(ctx);
    const std::int64_t channels = network_.context_channels();
    const std::int64_t length = static_cast<std::int64_t>(tokens.size()) / (batch * channels);
    std::vector<Tensor> kv =
        network_.project_context(with, ops::upload(with, tokens, {batch, length, channels}));
    for (Tensor& one : kv) one = ops::cast(ctx, one, ctx.compute);
    return kv;
}

std::shared_ptr<const ReferenceAdapter> load_reference_adapter(const ReferenceFiles& files,
                                                               const UNetConfig& unet, Backend& backend,
                                                               DType compute, const CancelToken& cancel,
                                                               std::vector<std::string>& warnings,
                                                               Loaded loaded) {
    // Names and shapes first: what does not fit together fails before its weights are read.
    IpAdapterCheckpoint file = open_ip_adapter(files.adapter);
    require_made_for(file.weights, unet);
    ImageEncoderCheckpoint encoder_file = open_fitting_encoder(files, image_projection_input(file.weights));
    for (WeightMap* weights : {&file.weights, &encoder_file.weights})
        weights->set_observer([&cancel](std::uint64_t, std::uint64_t) { cancel.check(); });

    const LoadContext load{backend, compute};
    require_finite(file.weights, cancel);
    IpAdapter network(load, file.weights, unet);
    warnings.insert(warnings.end(), file.warnings.begin(), file.warnings.end());
    warn_unused(file.weights, warnings);
    auto encoder = find_loaded(loaded, encoder_file.path, compute);
    if (!encoder) encoder = load_encoder(encoder_file, load, cancel, warnings);
    return std::make_shared<const ReferenceAdapter>(Context{backend, compute, &cancel}, files.adapter,
                                                    std::move(network), std::move(encoder),
                                                    file.weights.total_bytes());
}

}  // namespace sdxl
