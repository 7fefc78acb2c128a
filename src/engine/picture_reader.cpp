#include "engine/picture_reader.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "image/mask.h"
#include "image/read_image.h"
#include "image/resize.h"
#include "weights/resolve_model.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostFileBytes = std::uintmax_t{256} << 20U;
constexpr int kLeastSide = 64;
constexpr int kMostSide = 4096;

fs::path place_of(const std::string& name, const EngineConfig& config) {
    if (!config.confine) return fs::absolute(name);
    const fs::path root = fs::weakly_canonical(fs::absolute(config.output_dir));
    fs::path path = fs::weakly_canonical(root / name);
    if (!lies_in(path, root))
        fail(ErrorCode::kInvalidRequest, "the picture's path '" + name +
                                             "' leaves the output folder; this worker is confined to it: put "
                                             "the picture into " +
                                             root.string() + " or send it as base64");
    return path;
}

std::vector<std::uint8_t> read_file(const std::string& name, const EngineConfig& config) {
    const fs::path path = place_of(name, config);
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        fail(ErrorCode::kNotFound, "there is no picture '" + path.string() + "'");
    if (status.type() != fs::file_type::regular)
        fail(ErrorCode::kInvalidRequest, "'" + path.string() + "' is no file: give the path of a picture");
    const auto size = fs::file_size(path, error);
    if (error) fail(ErrorCode::kIo, "cannot look at '" + path.string() + "': " + error.message());
    if (size > kMostFileBytes)
        fail(ErrorCode::kInvalidRequest, "'" + path.string() + "' has " + std::to_string(size >> 20U) +
                                             " MiB, expected a picture of at most 256 MiB");
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file || file.gcount() != static_cast<std::streamsize>(bytes.size()))
        fail(ErrorCode::kIo, "cannot read '" + path.string() + "'");
    return bytes;
}

// The nearest size that a picture can have, diffusers' way: rounded down to a multiple of 8.
int fitting_side(double side) {
    const int whole = static_cast<int>(side) / kPixelsPerLatent * kPixelsPerLatent;
    return std::clamp(whole, kLeastSide, kMostSide);
}

void take_size(int width, int height, GenerationRequest& request) {
    if (!request.size_of_image) return;
    const double scale =
        std::min(request.size_scale, static_cast<double>(kMostSide) / std::max(width, height));
    request.width = fitting_side(width * scale);
    request.height = fitting_side(height * scale);
}

}  // namespace

GenerationRequest with_size_of_model(GenerationRequest request, const SdxlModel& model) {
    const auto [height, width] = model.unet->config().sample_size;
    if (request.width_of_model) request.width = fitting_side(width * kPixelsPerLatent);
    if (request.height_of_model) request.height = fitting_side(height * kPixelsPerLatent);
    request.width_of_model = request.height_of_model = false;
    return request;
}

Image read_picture(const ImageSource& source, const EngineConfig& config) {
    try {
        return source.bytes ? decode_image(*source.bytes) : decode_image(read_file(source.path, config));
    } catch (const Failure& failure) {
        Error error = failure.error();
        error.pointer = source.pointer;
        throw Failure(std::move(error));
    }
}

PictureInputs read_inputs(GenerationRequest& request, const EngineConfig& config) {
    PictureInputs inputs;
    inputs.latents = request.init_latents;
    inputs.draws = request.init_draws;
    std::shared_ptr<const Image> image = request.init_pixels;
    if (!image && request.init_image)
        image = std::make_shared<Image>(read_picture(request.init_image, config));
    if (inputs.latents)
        take_size(inputs.latents->width * kPixelsPerLatent, inputs.latents->height * kPixelsPerLatent,
                  request);
    if (!image) return inputs;
    take_size(image->width, image->height, request);
    inputs.image =
        std::make_shared<Image>(resize_image(*image, request.width, request.height, request.resize_mode));
    if (!request.mask_image) return inputs;
    const Mask mask = to_mask(read_picture(request.mask_image, config));
    // The mask lies over the picture: one of another shape is stretched over it first.
    const Mask laid = resize_mask(mask, image->width, image->height, ResizeMode::kStretch);
    Mask fitted = resize_mask(laid, request.width, request.height, request.resize_mode);
    if (request.mask_blur > 0)
        fitted = blur_mask(fitted, request.mask_blur);
    else
        fitted = binarize(fitted);
    inputs.mask = std::move(fitted.values);
    return inputs;
}

}  // namespace sdxl
