#include "request/generation.h"

namespace sdxl {

std::string_view stage_name(Stage stage) {
    switch (stage) {
        case Stage::kLoad:
            return "load";
        case Stage::kEncode:
            return "encode";
        case Stage::kDenoise:
            return "denoise";
        case Stage::kDecode:
            return "decode";
        case Stage::kWrite:
            return "write";
    }
    return "";
}

}  // namespace sdxl
