// Control pictures made of ordinary ones, by filters that need no network: what a ControlNet is shown.
//
// Pure functions: any thread; the same bytes give the same bytes. Names and what is said about each filter
// stand in request/preprocessors.h. Errors: Failure; kInvalidRequest for an option out of its range,
// kOutOfMemory.
#pragma once

#include "image/image.h"

namespace sdxl {

enum class Preprocessor {
    kNone,             // the picture is a control picture already
    kCanny,            // white edges of one pixel (Canny, 1986)
    kSoftEdge,         // grey edges, the brighter the stronger: a classical filter in HED's place
    kScribble,         // white strokes (extended difference of Gaussians)
    kLineart,          // grey lines where the picture is darker than its surroundings
    kTile,             // the picture without its fine detail
    kBlur,             // the picture under a Gaussian
    kGrey,             // its brightness
    kInvert,           // its negative
    kNormalFromDepth,  // a depth map's surface normals
    kSegmentation,     // a colour map of segments, taken as it is
};

struct PreprocessOptions {
    // The short side that filters of edges, lines, detail and normals work at, 64 to 2048; 0: the picture's
    // own. Their result is brought back to the picture's size. The long side stays within 8192.
    int resolution = 0;
    double low_threshold = 100;   // kCanny: gradients that go on an edge, 0 to 2000
    double high_threshold = 200;  // kCanny: gradients that begin one, not below the other
    double line_threshold = 32;   // kScribble: how dark a stroke is, 1 to 255; fewer strokes the higher
    double deviation = 9;         // kBlur: the Gaussian's, in pixels, 0 to 64
    double tile_factor = 2;       // kTile: detail below that many pixels goes, 1 to 64
    double background = 0;        // kNormalFromDepth: what is farther is flat, 0 to 1 of the map's range
};

// RGB in, RGB out, of the same size. REQUIRES: channels is 3, sizes 1 to 8192.
Image preprocess(const Image& image, Preprocessor kind, const PreprocessOptions& options = {});

}  // namespace sdxl
