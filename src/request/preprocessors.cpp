#include "request/preprocessors.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "request/normal_form.h"

namespace sdxl {
namespace {

struct Row {
    PreprocessorInfo info;
    std::array<std::string_view, 12> others;  // in normal form
};

constexpr std::string_view kPicture = "a picture";

// The table: a new filter is a row here.
constexpr Row kRows[] = {
    {{Preprocessor::kNone, "none", "a control picture, taken as it is", ""}, {"off", "asis"}},
    {{Preprocessor::kCanny, "canny", kPicture, ""}, {"cannyedge", "cannyedges"}},
    {{Preprocessor::kSoftEdge, "softedge", kPicture,
      "softedge is a classical filter of brightness gradients that stands in for the networks HED and "
      "PiDiNet: its edges are similar, not the same"},
     {"softedges", "hed", "hedsafe", "softedgehed", "softedgehedsafe", "pidinet", "pidi", "pidinetsafe",
      "softedgepidinet", "softedgepidisafe", "softedgepidinetsafe"}},
    {{Preprocessor::kScribble, "scribble", kPicture,
      "scribble is a classical filter (extended difference of Gaussians), not the network HED"},
     {"scribblexdog", "xdog", "scribblehed", "scribblepidinet", "sketch"}},
    {{Preprocessor::kLineart, "lineart", kPicture,
      "lineart is a classical filter (lineart_standard), not a network: it suits dark lines on light paper"},
     {"lineartstandard"}},
    {{Preprocessor::kTile, "tile", kPicture, ""}, {"tileresample"}},
    {{Preprocessor::kBlur, "blur", kPicture, ""}, {"blurgaussian", "gaussianblur"}},
    {{Preprocessor::kGrey, "grey", kPicture, ""},
     {"gray", "greyscale", "grayscale", "recolor", "recolour", "recolorluminance", "luminance"}},
    {{Preprocessor::kInvert, "invert", kPicture, ""}, {"inverted", "negative"}},
    {{Preprocessor::kNormalFromDepth, "normal_from_depth", "a depth map, near things white", ""},
     {"normal", "normals", "normalmap", "depthtonormal"}},
    {{Preprocessor::kSegmentation, "seg", "a colour map of segments, taken as it is", ""},
     {"segmentation", "segment"}},
};

// What the names of networks begin with, in normal form, and the control picture that they would make.
struct NetworkNames {
    std::string_view begin;
    std::string_view makes;
};
constexpr NetworkNames kNetworks[] = {
    {"depth", "a depth map"},
    {"midas", "a depth map"},
    {"zoe", "a depth map"},
    {"leres", "a depth map"},
    {"dpt", "a depth map"},
    {"marigold", "a depth map"},
    {"metric3d", "a depth map"},
    {"openpose", "a drawing of the pose"},
    {"pose", "a drawing of the pose"},
    {"dwpose", "a drawing of the pose"},
    {"dwopenpose", "a drawing of the pose"},
    {"animalopenpose", "a drawing of the pose"},
    {"animalpose", "a drawing of the pose"},
    {"densepose", "a drawing of the pose"},
    {"handrefiner", "a depth map"},
    {"mediapipe", "a drawing of the face"},
    {"face", "a drawing of the face"},
    {"mlsd", "a drawing of straight lines"},
    {"normalbae", "a normal map"},
    {"normalmidas", "a normal map"},
    {"normaldsine", "a normal map"},
    {"bae", "a normal map"},
    {"dsine", "a normal map"},
    {"seg", "a colour map of segments"},
    {"oneformer", "a colour map of segments"},
    {"uniformer", "a colour map of segments"},
    {"animefaceseg", "a colour map of segments"},
    {"lineart", "a drawing of lines"},
    {"anyline", "a drawing of lines"},
    {"mangaline", "a drawing of lines"},
    {"teed", "a drawing of edges"},
    {"softedge", "a drawing of edges"},
    {"hed", "a drawing of edges"},
    {"pidi", "a drawing of edges"},
};

}  // namespace

std::optional<Preprocessor> parse_preprocessor(std::string_view name) {
    const std::string wanted = normal_form(name);
    if (wanted.empty()) return Preprocessor::kNone;
    for (const Row& row : kRows)
        if (normal_form(row.info.name) == wanted ||
            std::find(row.others.begin(), row.others.end(), wanted) != row.others.end())
            return row.info.kind;
    return std::nullopt;
}

Result<Preprocessor> find_preprocessor(std::string_view name) {
    if (const auto kind = parse_preprocessor(name)) return *kind;
    const std::string shown = "preprocessor '" + std::string(name.substr(0, 64)) + "'";
    const std::string wanted = normal_form(name);
    for (const NetworkNames& network : kNetworks)
        if (wanted.starts_with(network.begin))
            return Error{ErrorCode::kUnsupported,
                         shown +
                             " needs a network that this worker does not have: send the prepared "
                             "control picture (" +
                             std::string(network.makes) + ") with preprocessing off ('none')",
                         ""};
    std::string names;
    for (const std::string& known : preprocessor_names())
        names += (names.empty() ? "'" : ", '") + known + "'";
    return Error{ErrorCode::kInvalidRequest, shown + " is unknown: expected one of " + names, ""};
}

const PreprocessorInfo& preprocessor_info(Preprocessor kind) {
    return std::find_if(std::begin(kRows), std::end(kRows),
                        [kind](const Row& row) { return row.info.kind == kind; })
        ->info;
}

std::string_view preprocessor_name(Preprocessor kind) {
    return preprocessor_info(kind).name;
}

std::vector<std::string> preprocessor_names() {
    std::vector<std::string> names;
    for (const Row& row : kRows) names.emplace_back(row.info.name);
    return names;
}

}  // namespace sdxl
