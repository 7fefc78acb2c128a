// Pictures with less in them: less detail, no colour, or the other way round. For .cpp files of this layer
// alone.
//
// Pictures come and go as 8-bit RGB of the same size; brightness is one channel. Throw cv::Exception.
#pragma once

#include <opencv2/core.hpp>

namespace sdxl {

// Shrunk by `factor` and enlarged again, as the control pictures that tile networks were trained with.
cv::Mat without_detail(const cv::Mat& rgb, double factor);

// Under a Gaussian of that standard deviation, in pixels; 0 changes nothing.
cv::Mat blurred(const cv::Mat& rgb, double deviation);

// ITU-R 601 luma.
cv::Mat brightness(const cv::Mat& rgb);

cv::Mat negative(const cv::Mat& rgb);

}  // namespace sdxl
