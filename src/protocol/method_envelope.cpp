#include "protocol/commands.h"
#include "protocol/envelopes.h"

namespace sdxl {
namespace {

// Which picture a method starts from stands in its parameters.
constexpr NamedCommand kMethods[] = {
    {"text2img", read_work},
    {"img2img", read_work},
    {"inpaint", read_work},
};

}  // namespace

Command read_method_envelope(FieldReader& top, const Field<std::string>& name, Message& message) {
    const NamedCommand& method = find_command(kMethods, "method", name);
    if (method.name != "text2img")
        top.reject(ErrorCode::kUnsupported,
                   "the method '" + std::string(method.name) +
                       "' is not available in this worker yet; 'text2img' is",
                   name.pointer, {"text2img"});
    top.ignore({"timestamp"});
    return method.read(top, message);
}

}  // namespace sdxl
