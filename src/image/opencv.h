// OpenCV over our memory, with its exceptions as ours. For .cpp files of this layer alone.
#pragma once

#include <algorithm>
#include <new>
#include <opencv2/imgproc.hpp>
#include <string>

#include "core/error.h"
#include "image/resize.h"

namespace sdxl {

template <class Work>
auto with_opencv(Work work) {
    try {
        return work();
    } catch (const cv::Exception& exception) {
        if (exception.code == cv::Error::StsNoMem) throw std::bad_alloc();
        fail(ErrorCode::kInternal, "OpenCV: " + exception.err);
    }
}

// To `size` by what suits the direction, then cut or bordered to width x height at `where`.
inline cv::Mat fit(const cv::Mat& source, const Placement& where, int width, int height, int border,
                   const cv::Scalar& border_value = {}) {
    constexpr int kLanczosTaps = 8;
    cv::Mat scaled = source;
    if (source.cols != where.width || source.rows != where.height) {
        const bool shrinks = where.width <= source.cols && where.height <= source.rows;
        const bool tiny = std::min(source.cols, source.rows) < kLanczosTaps;
        const int method = shrinks ? cv::INTER_AREA : (tiny ? cv::INTER_LINEAR : cv::INTER_LANCZOS4);
        cv::resize(source, scaled, {where.width, where.height}, 0, 0, method);
    }
    const cv::Rect seen(std::max(0, -where.left), std::max(0, -where.top), std::min(width, where.width),
                        std::min(height, where.height));
    cv::Mat fitted;
    const int left = std::max(0, where.left);
    const int top = std::max(0, where.top);
    cv::copyMakeBorder(scaled(seen), fitted, top, height - top - seen.height, left, width - left - seen.width,
                       border | cv::BORDER_ISOLATED, border_value);
    return fitted;
}

}  // namespace sdxl
