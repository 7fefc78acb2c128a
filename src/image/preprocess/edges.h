// Edges and lines, white on black. For .cpp files of this layer alone.
//
// Pictures come as 8-bit RGB and go as one 8-bit channel of the same size. Throw cv::Exception.
#pragma once

#include <opencv2/core.hpp>

namespace sdxl {

// Canny, "A computational approach to edge detection", 1986, as OpenCV has it: the gradient is that of the
// strongest channel, in the sum of its absolute parts, 3 x 3.
cv::Mat canny(const cv::Mat& rgb, double low, double high);

// The brightness's gradient at three scales, each in units of a black and white step there, on average.
// Twice that, so that half the contrast is white already. A classical stand-in: HED is a network.
cv::Mat soft_edges(const cv::Mat& rgb);

// Where the Gaussian of 5 pixels is brighter than that of half a pixel in every channel: the dark side of an
// edge and dark lines. Winnemoeller et al., "XDoG", 2012; the numbers are those of the "scribble_xdog" that
// the community uses.
cv::Mat scribble(const cv::Mat& rgb, double threshold);

// How much darker than the Gaussian of 6 pixels around it a pixel is in every channel, in units of the median
// of what is darker at all: the community's "lineart_standard", for dark lines on light paper.
cv::Mat line_art(const cv::Mat& rgb);

}  // namespace sdxl
