#include "image/preprocess/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "image/opencv.h"
#include "image/preprocess/detail.h"
#include "image/preprocess/edges.h"
#include "image/preprocess/normals.h"
#include "image/resize.h"

namespace sdxl {
namespace {

constexpr int kLargestSide = 8192;

void check(std::string_view name, double value, double least, double most) {
    if (value >= least && value <= most) return;
    const auto shown = [](double number) {
        std::string text = std::to_string(number);
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') text.pop_back();
        return text;
    };
    fail(ErrorCode::kInvalidRequest, "preprocessing: " + std::string(name) + " must be " + shown(least) +
                                         " to " + shown(most) + ", found " + shown(value));
}

void check(const PreprocessOptions& options) {
    if (options.resolution != 0) check("resolution, where it is not 0,", options.resolution, 64, 2048);
    check("low_threshold", options.low_threshold, 0, 2000);
    check("high_threshold", options.high_threshold, 0, 2000);
    if (options.low_threshold > options.high_threshold)
        fail(ErrorCode::kInvalidRequest,
             "preprocessing: low_threshold must not be above high_threshold: exchange them");
    check("line_threshold", options.line_threshold, 1, 255);
    check("deviation", options.deviation, 0, 64);
    check("tile_factor", options.tile_factor, 1, 64);
    check("background", options.background, 0, 1);
}

cv::Mat filtered(const cv::Mat& rgb, Preprocessor kind, const PreprocessOptions& options) {
    switch (kind) {
        case Preprocessor::kCanny:
            return canny(rgb, options.low_threshold, options.high_threshold);
        case Preprocessor::kSoftEdge:
            return soft_edges(rgb);
        case Preprocessor::kScribble:
            return scribble(rgb, options.line_threshold);
        case Preprocessor::kLineart:
            return line_art(rgb);
        case Preprocessor::kTile:
            return without_detail(rgb, options.tile_factor);
        case Preprocessor::kBlur:
            return blurred(rgb, options.deviation);
        case Preprocessor::kNormalFromDepth:
            return normals_of_depth(rgb, options.background);
        case Preprocessor::kGrey:
            return brightness(rgb);
        case Preprocessor::kInvert:
            return negative(rgb);
        case Preprocessor::kNone:
        case Preprocessor::kSegmentation:
            break;
    }
    return rgb;
}

// What looks at each pixel alone has no size to work at.
bool sees_neighbours(Preprocessor kind) {
    return kind != Preprocessor::kNone && kind != Preprocessor::kSegmentation &&
           kind != Preprocessor::kGrey && kind != Preprocessor::kInvert;
}

cv::Size working_size(const cv::Size& size, int resolution) {
    const int shorter = std::min(size.width, size.height);
    const int longer = std::max(size.width, size.height);
    const double scale =
        std::min(static_cast<double>(resolution) / shorter, static_cast<double>(kLargestSide) / longer);
    const auto scaled = [&](int side) { return std::max(1, static_cast<int>(std::lround(side * scale))); };
    return {scaled(size.width), scaled(size.height)};
}

cv::Mat resized(const cv::Mat& source, const cv::Size& size) {
    if (source.size() == size) return source;
    return fit(source, {0, 0, size.width, size.height}, size.width, size.height, cv::BORDER_REPLICATE);
}

cv::Mat control_picture(const cv::Mat& rgb, Preprocessor kind, const PreprocessOptions& options) {
    if (options.resolution == 0 || !sees_neighbours(kind)) return filtered(rgb, kind, options);
    const cv::Mat small = resized(rgb, working_size(rgb.size(), options.resolution));
    cv::Mat result = resized(filtered(small, kind, options), rgb.size());
    // Strokes are black or white at every size.
    if (kind == Preprocessor::kCanny || kind == Preprocessor::kScribble)
        cv::threshold(result, result, 127, 255, cv::THRESH_BINARY);
    return result;
}

}  // namespace

Image preprocess(const Image& image, Preprocessor kind, const PreprocessOptions& options) {
    check(options);
    return with_opencv([&] {
        const cv::Mat rgb(image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.pixels.data()));
        cv::Mat made = control_picture(rgb, kind, options);
        if (made.channels() == 1) cv::cvtColor(made, made, cv::COLOR_GRAY2RGB);
        Image result{image.width, image.height, 3, {}};
        const auto* begin = made.ptr<std::uint8_t>();
        result.pixels.assign(begin, begin + static_cast<std::ptrdiff_t>(image.width) * image.height * 3);
        return result;
    });
}

}  // namespace sdxl
