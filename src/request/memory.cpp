#include "request/memory.h"

namespace sdxl {

std::string_view residency_name(Residency residency) {
    switch (residency) {
        case Residency::kStays:
            return "stays";
        case Residency::kLeaves:
            return "leaves";
        case Residency::kStreams:
            return "streams";
    }
    return "?";
}

}  // namespace sdxl
