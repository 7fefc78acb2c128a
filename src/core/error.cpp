#include "core/error.h"

#include <new>

namespace sdxl {

std::string_view error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::kInvalidRequest:
            return "invalid_request";
        case ErrorCode::kUnsupported:
            return "unsupported";
        case ErrorCode::kNotFound:
            return "not_found";
        case ErrorCode::kInvalidModel:
            return "invalid_model";
        case ErrorCode::kOutOfMemory:
            return "out_of_memory";
        case ErrorCode::kCancelled:
            return "cancelled";
        case ErrorCode::kDeadlineExceeded:
            return "deadline_exceeded";
        case ErrorCode::kQueueFull:
            return "queue_full";
        case ErrorCode::kIo:
            return "io_error";
        case ErrorCode::kInternal:
            return "internal";
    }
    return "internal";
}

void fail(ErrorCode code, std::string message, std::string pointer) {
    throw Failure(Error{code, std::move(message), std::move(pointer)});
}

Error current_error() {
    try {
        throw;
    } catch (const Failure& failure) {
        return failure.error();
    } catch (const std::bad_alloc&) {
        return Error{ErrorCode::kOutOfMemory,
                     "out of memory: ask for a smaller picture or free memory on this machine", ""};
    } catch (const std::exception& other) {
        return Error{ErrorCode::kInternal, other.what(), ""};
    } catch (...) {
        return Error{ErrorCode::kInternal, "unknown exception", ""};
    }
}

}  // namespace sdxl
