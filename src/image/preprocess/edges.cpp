#include "image/preprocess/edges.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "image/preprocess/detail.h"

namespace sdxl {
namespace {

cv::Mat gaussian(const cv::Mat& values, double deviation) {
    cv::Mat result;
    cv::GaussianBlur(values, result, {0, 0}, deviation, deviation, cv::BORDER_REPLICATE);
    return result;
}

// The least over the channels of `darkness(channel)`, as float32.
template <class Darkness>
cv::Mat least_of_channels(const cv::Mat& rgb, Darkness darkness) {
    cv::Mat least;
    for (int c = 0; c < rgb.channels(); ++c) {
        cv::Mat channel;
        cv::extractChannel(rgb, channel, c);
        channel.convertTo(channel, CV_32F);
        const cv::Mat value = darkness(channel);
        if (least.empty())
            least = value;
        else
            cv::min(least, value, least);
    }
    return least;
}

// The median of the values above `floor`; 0 where there are none.
double median_above(const cv::Mat& values, float floor) {
    std::vector<float> kept;
    for (int y = 0; y < values.rows; ++y)
        std::copy_if(values.ptr<float>(y), values.ptr<float>(y) + values.cols, std::back_inserter(kept),
                     [floor](float value) { return value > floor; });
    if (kept.empty()) return 0;
    const auto middle = kept.begin() + static_cast<std::ptrdiff_t>(kept.size() / 2);
    std::nth_element(kept.begin(), middle, kept.end());
    if (kept.size() % 2 == 1) return *middle;
    return (static_cast<double>(*std::max_element(kept.begin(), middle)) + *middle) / 2;
}

}  // namespace

cv::Mat canny(const cv::Mat& rgb, double low, double high) {
    cv::Mat edges;
    cv::Canny(rgb, edges, low, high);
    return edges;
}

cv::Mat soft_edges(const cv::Mat& rgb) {
    constexpr double kScales[] = {1, 2, 4};
    constexpr double kGain = 2;
    cv::Mat bright;
    brightness(rgb).convertTo(bright, CV_32F);
    cv::Mat sum = cv::Mat::zeros(bright.size(), CV_32F);
    for (const double scale : kScales) {
        const cv::Mat smooth = gaussian(bright, scale);
        cv::Mat across, down, magnitude;
        // Scharr's filter measures 32 times the slope. A step of 255 under a Gaussian has the slope
        // 255 / (scale sqrt(2 pi)) in its middle.
        cv::Scharr(smooth, across, CV_32F, 1, 0, 1.0 / 32, 0, cv::BORDER_REPLICATE);
        cv::Scharr(smooth, down, CV_32F, 0, 1, 1.0 / 32, 0, cv::BORDER_REPLICATE);
        cv::magnitude(across, down, magnitude);
        cv::scaleAdd(magnitude, scale * std::sqrt(2 * CV_PI) / std::size(kScales), sum, sum);
    }
    cv::Mat edges;
    sum.convertTo(edges, CV_8U, kGain);
    return edges;
}

cv::Mat scribble(const cv::Mat& rgb, double threshold) {
    const cv::Mat darker = least_of_channels(rgb, [](const cv::Mat& channel) {
        cv::Mat difference = gaussian(channel, 5) - gaussian(channel, 0.5);
        return difference;
    });
    cv::Mat strokes;
    cv::compare(darker, threshold / 2, strokes, cv::CMP_GT);
    return strokes;
}

cv::Mat line_art(const cv::Mat& rgb) {
    constexpr float kNoise = 8;
    constexpr double kLeastUnit = 16;
    constexpr double kGreyOfUnit = 127;
    const cv::Mat darker = least_of_channels(rgb, [](const cv::Mat& channel) {
        cv::Mat difference = gaussian(channel, 6) - channel;
        return difference;
    });
    cv::Mat lines;
    darker.convertTo(lines, CV_8U, kGreyOfUnit / std::max(kLeastUnit, median_above(darker, kNoise)));
    return lines;
}

}  // namespace sdxl
