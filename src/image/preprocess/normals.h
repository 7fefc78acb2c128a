// Surface normals of a depth map. For .cpp files of this layer alone.
#pragma once

#include <opencv2/core.hpp>

namespace sdxl {

// `depth` is 8-bit RGB whose brightness is depth, near things white, as MiDaS and its like draw it. The
// normal of a surface whose 3 x 3 Sobel derivatives (8 times the slope) are x and y is (x, y, 2 pi), brought
// to length 1: the formula of ControlNet's normal maps of MiDaS, in ScanNet's colours. Red is what faces
// left, green up, blue the viewer; each part is 127.5 + 127.5 n, rounded. The map goes on beyond its border
// as it was, so that a plane has one normal. Farther than `background` of the map's range faces the viewer.
// Throws cv::Exception.
cv::Mat normals_of_depth(const cv::Mat& depth, double background);

}  // namespace sdxl
