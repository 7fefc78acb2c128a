#include "image/preprocess/normals.h"

#include <cmath>
#include <cstdint>
#include <opencv2/imgproc.hpp>

#include "image/preprocess/detail.h"

namespace sdxl {
namespace {

// One pixel more on every side, continued in a straight line.
cv::Mat continued(const cv::Mat& depth) {
    cv::Mat wide;
    cv::copyMakeBorder(depth, wide, 1, 1, 1, 1, cv::BORDER_REPLICATE);
    const int right = wide.cols - 1, bottom = wide.rows - 1;
    if (depth.cols > 1) {
        wide.col(0) = 2 * wide.col(1) - wide.col(2);
        wide.col(right) = 2 * wide.col(right - 1) - wide.col(right - 2);
    }
    if (depth.rows > 1) {
        wide.row(0) = 2 * wide.row(1) - wide.row(2);
        wide.row(bottom) = 2 * wide.row(bottom - 1) - wide.row(bottom - 2);
    }
    return wide;
}

cv::Mat sobel(const cv::Mat& wide, int across, int down) {
    cv::Mat slope;
    cv::Sobel(wide, slope, CV_32F, across, down);
    return slope(cv::Rect(1, 1, wide.cols - 2, wide.rows - 2));
}

std::uint8_t colour(float part) {
    return cv::saturate_cast<std::uint8_t>(127.5F + 127.5F * part);
}

}  // namespace

cv::Mat normals_of_depth(const cv::Mat& depth, double background) {
    constexpr auto kTowardsViewer = static_cast<float>(2 * CV_PI);
    cv::Mat near = brightness(depth);
    double least = 0, most = 0;
    cv::minMaxLoc(near, &least, &most);
    const double floor = least + background * (most - least);
    near.convertTo(near, CV_32F);
    const cv::Mat wide = continued(near);
    const cv::Mat across = sobel(wide, 1, 0), down = sobel(wide, 0, 1);
    cv::Mat normals(depth.size(), CV_8UC3);
    for (int row = 0; row < depth.rows; ++row) {
        auto* to = normals.ptr<cv::Vec3b>(row);
        for (int column = 0; column < depth.cols; ++column) {
            const bool flat = near.at<float>(row, column) < floor;
            const float x = flat ? 0.F : across.at<float>(row, column);
            const float y = flat ? 0.F : down.at<float>(row, column);
            const float length = std::sqrt(x * x + y * y + kTowardsViewer * kTowardsViewer);
            to[column] = {colour(x / length), colour(y / length), colour(kTowardsViewer / length)};
        }
    }
    return normals;
}

}  // namespace sdxl
