#include "image/preprocess/detail.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace sdxl {

cv::Mat without_detail(const cv::Mat& rgb, double factor) {
    const auto shrunk = [factor](int side) {
        return std::max(1, static_cast<int>(std::lround(side / factor)));
    };
    const cv::Size size(shrunk(rgb.cols), shrunk(rgb.rows));
    if (size == rgb.size()) return rgb;
    cv::Mat small, result;
    cv::resize(rgb, small, size, 0, 0, cv::INTER_AREA);
    cv::resize(small, result, rgb.size(), 0, 0, cv::INTER_LINEAR);
    return result;
}

cv::Mat blurred(const cv::Mat& rgb, double deviation) {
    if (deviation <= 0) return rgb;
    cv::Mat result;
    cv::GaussianBlur(rgb, result, {0, 0}, deviation, deviation, cv::BORDER_REPLICATE);
    return result;
}

cv::Mat brightness(const cv::Mat& rgb) {
    cv::Mat result;
    cv::cvtColor(rgb, result, cv::COLOR_RGB2GRAY);
    return result;
}

cv::Mat negative(const cv::Mat& rgb) {
    cv::Mat result;
    cv::bitwise_not(rgb, result);
    return result;
}

}  // namespace sdxl
